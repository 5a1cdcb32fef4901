// Standard input as a source of bytes that ends with the command. Reading goes into two buffers where nobody keeps what
// came before: process.stdin makes a new one for every 64 KiB, and garbage of that kind is collected late (20 MB more).

import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import { isatty } from 'node:tty'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { type ByteSource, descriptorSource } from '../image/file-source.ts'

const descriptor = 0
const pieceBytes = 256 * 1024

/** Waiting for bytes ends when the signal aborts. @throws USAGE where a person sits at it */
export function standardInput(signal: AbortSignal, hint: string): ByteSource {
  if (isatty(descriptor)) throw new KauriError('USAGE', 'standard input is a terminal', { hint })
  if (fstatSync(descriptor).isFile()) return descriptorSource(descriptor)
  const reuse = { isOn: false }
  return {
    bytes: readPipe(signal, reuse),
    reuseBuffers() {
      reuse.isOn = true
    },
  }
}

async function* readPipe(
  signal: AbortSignal,
  reuse: { readonly isOn: boolean },
): AsyncGenerator<Uint8Array> {
  const pipe = openPipe()
  const abort = (): void => pipe.close()
  signal.addEventListener('abort', abort, { once: true })
  try {
    for (;;) {
      if (signal.aborted) throw cancelled(signal)
      const piece = await pipe.next()
      if (piece === undefined) break
      // The next piece is read while this one is used.
      pipe.readOn()
      yield piece
      if (reuse.isOn) pipe.giveBack(piece)
    }
    if (signal.aborted) throw cancelled(signal)
  } finally {
    signal.removeEventListener('abort', abort)
    pipe.close()
  }
}

interface OpenPipe {
  /** What was read last, as soon as it is there; undefined at the end. */
  next(): Promise<Uint8Array | undefined>
  /** Reads one more piece; the first is under way already. */
  readOn(): void
  /** Lets the memory of a piece be used again. */
  giveBack(piece: Uint8Array): void
  close(): void
}

/** Reads one piece at a time. Node asks for the memory of a piece when it hands over the one before. */
function openPipe(): OpenPipe {
  const idle: Uint8Array<ArrayBuffer>[] = []
  let pending = Promise.withResolvers<Uint8Array | undefined>()
  let hasEnded = false
  let failure: Error | undefined
  const socket = new Socket({
    fd: descriptor,
    readable: true,
    writable: false,
    onread: {
      buffer: () => idle.pop() ?? new Uint8Array(pieceBytes),
      callback(length, memory) {
        pending.resolve(memory.subarray(0, length))
        // Nothing more until somebody asks.
        return false
      },
    },
  })
  const settle = (): void => {
    if (failure === undefined) pending.resolve(undefined)
    else pending.reject(failure)
  }
  const end = (error?: Error): void => {
    hasEnded = true
    failure ??= error
    settle()
  }
  socket.once('end', () => end()).once('close', () => end())
  socket.once('error', end)
  // Whoever waits for it sees the failure; until then it must not count as unhandled.
  pending.promise.catch(() => {})
  return {
    next: () => pending.promise,
    readOn() {
      pending = Promise.withResolvers()
      pending.promise.catch(() => {})
      if (hasEnded) settle()
      else socket.resume()
    },
    giveBack({ buffer }) {
      if (buffer instanceof ArrayBuffer) idle.push(new Uint8Array(buffer))
    },
    close: () => void socket.destroy(),
  }
}

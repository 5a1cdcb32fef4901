// Reads the event log: what is there, oldest first, and then what comes.

import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno } from '../core/errors.ts'
import { type ContainerEvent, eventFile, parseEvent } from './event-log.ts'

export interface EventOptions {
  /** Nanoseconds since 1970; events of this time and later. */
  readonly since: bigint
  /** Ends when this time has come; undefined: never. */
  readonly until?: bigint | undefined
  readonly signal?: AbortSignal | undefined
}

const pollMs = 50
const pieceBytes = 64 * 1024

/** @throws the signal's reason */
export async function* readEvents(
  runRoot: string,
  { since, until, signal }: EventOptions,
): AsyncGenerator<ContainerEvent, void> {
  const file = eventFile(runRoot)
  using old = openTail(`${file}.1`)
  let current = openTail(file)
  const sources = [old, current]
  try {
    for (;;) {
      signal?.throwIfAborted()
      const isOver = until !== undefined && BigInt(Date.now()) * 1_000_000n > until
      const next = openTail(file)
      for (const event of sources.flatMap(source => source?.read() ?? [])) {
        const time = BigInt(event.timeNano)
        if (time >= since && (until === undefined || time <= until)) yield event
      }
      // A new file took the name: nothing more comes to the one before, but from who had it open, a moment ago.
      if (next !== undefined && next.inode !== current?.inode) {
        current = next
        sources.push(next)
        continue
      }
      next?.[Symbol.dispose]()
      if (isOver) return
      await sleep(pollMs, undefined, { signal })
    }
  } finally {
    for (const source of sources) source?.[Symbol.dispose]()
  }
}

interface Tail extends Disposable {
  readonly inode: number
  /** The events that were added since the last call. */
  read(): ContainerEvent[]
}

function openTail(file: string): Tail | undefined {
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let isOpen = true
  return {
    inode: fstatSync(fd).ino,
    read() {
      const buffer = Buffer.alloc(pieceBytes)
      for (let length = readSync(fd, buffer); length > 0; length = readSync(fd, buffer))
        rest += decoder.write(buffer.subarray(0, length))
      const lines = rest.split('\n')
      rest = lines.pop() ?? ''
      return lines.flatMap(line => parseEvent(line) ?? [])
    },
    [Symbol.dispose]() {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
}

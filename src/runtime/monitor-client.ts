// A connection to a container's monitor. Frames go both ways, in docker's stream format: type, three zero bytes, length
// (launcher/clients.h has the other side).

import type { Socket } from 'node:net'
import { containerDirectory } from './container-files.ts'
import { connectIn } from './start-container.ts'

export type MonitorFrame =
  | { readonly kind: 'output'; readonly stream: 'stdout' | 'stderr'; readonly bytes: Uint8Array }
  | { readonly kind: 'exit'; readonly code: number }

/** Which of a container's outputs a client gets. With a terminal all of it is in stdout. */
export interface AttachStreams {
  readonly stdout?: boolean
  readonly stderr?: boolean
}

export interface MonitorConnection extends Disposable {
  /** To be read once; ends when the monitor does. */
  readonly frames: AsyncIterable<MonitorFrame>
  /** Input for the program; resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>
  /** The end of the input, for everybody; a terminal has none. */
  endInput(): void
  resize(rows: number, columns: number): void
  signal(number: number): void
  close(): void
}

const headerBytes = 8
/** enum client_frame */
const requests = { input: 0, resize: 1, signal: 2, attach: 3 } as const
/** enum server_frame */
const answers = { stdout: 1, stderr: 2, attached: 16, exit: 17 } as const

/** Connects, and attaches to the outputs before it resolves. @throws the system's error where nobody listens */
export async function connectMonitor(
  runRoot: string,
  id: string,
  { stdout = false, stderr = false }: AttachStreams = {},
): Promise<MonitorConnection> {
  const socket = await connectIn(containerDirectory(runRoot, id), 'monitor.sock')
  const frames = readFrames(socket)
  if (stdout || stderr) {
    const streams = (stdout ? 1 << answers.stdout : 0) | (stderr ? 1 << answers.stderr : 0)
    send(socket, requests.attach, Uint8Array.of(streams))
    // The first frame is the answer to that; output comes behind it.
    await frames.next()
  }
  return {
    frames: outputFrames(frames),
    async write(bytes) {
      if (bytes.length > 0 && !send(socket, requests.input, bytes)) await roomIn(socket)
    },
    endInput: () => void send(socket, requests.input, new Uint8Array()),
    resize(rows, columns) {
      const size = Buffer.alloc(4)
      size.writeUInt16BE(rows, 0)
      size.writeUInt16BE(columns, 2)
      send(socket, requests.resize, size)
    },
    signal: number => void send(socket, requests.signal, Uint8Array.of(number)),
    close: () => void socket.destroy(),
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

/** Resolves when more can be sent, or nothing any more. */
function roomIn(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    if (socket.destroyed) resolve()
    else socket.on('drain', done).on('close', done)
  })
}

/** False where whoever sends should wait. */
function send(socket: Socket, type: number, body: Uint8Array): boolean {
  const header = Buffer.alloc(headerBytes)
  header.writeUInt8(type, 0)
  header.writeUInt32BE(body.length, 4)
  if (!socket.writable) return true
  socket.cork()
  socket.write(header)
  const hasRoom = socket.write(body)
  socket.uncork()
  return hasRoom
}

interface Frame {
  readonly type: number
  readonly body: Buffer
}

/** Bytes of a frame come as soon as they are there: output in pieces is still output. */
async function* readFrames(socket: Socket): AsyncGenerator<Frame, undefined> {
  let rest: Buffer = Buffer.alloc(0)
  try {
    for await (const chunk of socket) {
      rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer])
      for (;;) {
        if (rest.length < headerBytes) break
        const length = rest.readUInt32BE(4)
        if (rest.length < headerBytes + length) break
        yield { type: rest.readUInt8(0), body: rest.subarray(headerBytes, headerBytes + length) }
        rest = rest.subarray(headerBytes + length)
      }
    }
  } catch {
    // The connection broke: there is nothing more to come.
  }
}

async function* outputFrames(
  frames: AsyncIterable<Frame>,
): AsyncGenerator<MonitorFrame, undefined> {
  for await (const { type, body } of frames) {
    if (type === answers.stdout) yield { kind: 'output', stream: 'stdout', bytes: body }
    else if (type === answers.stderr) yield { kind: 'output', stream: 'stderr', bytes: body }
    else if (type === answers.exit) yield { kind: 'exit', code: body.readUInt32BE(0) }
  }
}

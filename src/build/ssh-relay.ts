// A socket of one step that passes on to an ssh agent what steps may ask: which keys there are, and signatures. Keys cannot
// be added, removed or locked from inside a build (draft-ietf-sshm-ssh-agent, sections 3 and 4).

import { chmodSync, chownSync, closeSync, constants, openSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'

export interface SshRelayOptions {
  /** Where the agent listens. */
  readonly agent: string
  /** Where the relay shall; made. */
  readonly socket: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** Message numbers of the agent protocol. */
const message = { failure: 5, requestIdentities: 11, signRequest: 13 } as const

const allowed: ReadonlySet<number> = new Set([message.requestIdentities, message.signRequest])

/** OpenSSH's own limit. */
const longestMessageBytes = 256 * 1024

/** More at once are nobody's who wants a signature. */
const mostConnections = 64

const refusal = Buffer.from([0, 0, 0, 1, message.failure])

/**
 * Listens until it is disposed; then nobody who holds the socket, or a connection, reaches the agent any more.
 * @throws USAGE where the directory of the agent's socket is not there
 */
export async function openSshRelay(options: SshRelayOptions): Promise<AsyncDisposable> {
  await using opening = new AsyncDisposableStack()
  const agent = opening.use(shortName(options.agent))
  const own = opening.use(shortName(options.socket))
  const connections = new Set<Socket>()
  const server = createServer(client => {
    if (connections.size >= mostConnections) {
      client.destroy()
      return
    }
    connections.add(client)
    client.once('close', () => connections.delete(client))
    serve(client, agent.path)
  })
  opening.defer(async () => {
    const closed = new Promise(resolve => server.close(resolve))
    for (const client of connections) client.destroy()
    await closed
    rmSync(options.socket, { force: true })
  })
  await new Promise<void>((resolve, reject) => {
    // Also later: too many connections at once are the container's own doing.
    server.on('error', reject)
    server.listen(own.path, resolve)
  })
  chownSync(options.socket, options.uid, options.gid)
  chmodSync(options.socket, options.mode)
  return opening.move()
}

/**
 * A name of at most 107 bytes, which is all that a socket's address takes. It must live as long as the server: Node removes
 * the socket by that name, and the descriptor in it may be somebody else's by then.
 */
function shortName(socket: string): Disposable & { readonly path: string } {
  try {
    const fd = openSync(path.dirname(socket), oPath | constants.O_DIRECTORY)
    return {
      path: `/proc/self/fd/${fd}/${path.basename(socket)}`,
      [Symbol.dispose]: () => closeSync(fd),
    }
  } catch (error) {
    throw new KauriError('USAGE', `there is no socket ${socket} of an ssh agent`, { cause: error })
  }
}

function serve(client: Socket, agentPath: string): void {
  const agent = createConnection(agentPath)
  const end = (): void => {
    client.destroy()
    agent.destroy()
  }
  for (const socket of [client, agent]) {
    socket.on('error', end)
    socket.on('close', end)
  }
  agent.on('data', chunk => send(chunk, agent, client))
  const reader = messageReader({
    onMessage: (type, bytes) => {
      if (allowed.has(type)) send(bytes, client, agent)
      else send(refusal, client, client)
    },
    onNonsense: end,
  })
  client.on('data', reader)
}

/** Who asks on without reading the answers is not listened to meanwhile: they would fill this process's memory. */
function send(bytes: Uint8Array | string, from: Socket, to: Socket): void {
  if (to.write(bytes) || from.isPaused()) return
  from.pause()
  to.once('drain', () => from.resume())
}

interface MessageWatcher {
  readonly onMessage: (type: number, bytes: Buffer) => void
  readonly onNonsense: () => void
}

/** Cuts a stream into messages: a length of four bytes, and as many bytes, the first of which is the type. */
export function messageReader({ onMessage, onNonsense }: MessageWatcher): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return chunk => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= 5) {
      const length = rest.readUInt32BE(0)
      if (length === 0 || length > longestMessageBytes) {
        rest = Buffer.alloc(0)
        onNonsense()
        return
      }
      if (rest.length < 4 + length) return
      onMessage(rest.readUInt8(4), rest.subarray(0, 4 + length))
      rest = rest.subarray(4 + length)
    }
  }
}

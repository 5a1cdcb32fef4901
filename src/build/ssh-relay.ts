// A socket of one step that passes on to an ssh agent what steps may ask: which keys there are, and signatures. Keys cannot
// be added, removed or locked from inside a build (draft-ietf-sshm-ssh-agent, sections 3 and 4).

import { chmodSync, chownSync, closeSync, constants, openSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
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

const refusal = Buffer.from([0, 0, 0, 1, message.failure])

/** Listens until it is disposed; then nobody who holds the socket, or a connection, reaches the agent any more. */
export async function openSshRelay(options: SshRelayOptions): Promise<AsyncDisposable> {
  const connections = new Set<Socket>()
  const server = createServer(client => {
    connections.add(client)
    client.once('close', () => connections.delete(client))
    serve(client, options.agent)
  })
  await listen(server, options)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise(resolve => server.close(resolve))
      for (const client of connections) client.destroy()
      await closed
      rmSync(options.socket, { force: true })
    },
  }
}

async function listen(server: Server, { socket, mode, uid, gid }: SshRelayOptions): Promise<void> {
  // Names of sockets have at most 107 bytes, however long the path of the directory is.
  const directoryFd = openSync(path.dirname(socket), oPath | constants.O_DIRECTORY)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(`/proc/self/fd/${directoryFd}/${path.basename(socket)}`, resolve)
    })
  } catch (error) {
    throw new KauriError('INTERNAL', 'no socket for the ssh agent', { cause: error })
  } finally {
    closeSync(directoryFd)
  }
  chownSync(socket, uid, gid)
  chmodSync(socket, mode)
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
  // The client may close its writing side and still wait for the answer.
  agent.on('data', chunk => client.write(chunk))
  const reader = messageReader({
    onMessage: (type, bytes) => {
      if (allowed.has(type)) agent.write(bytes)
      else client.write(refusal)
    },
    onNonsense: end,
  })
  client.on('data', reader)
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

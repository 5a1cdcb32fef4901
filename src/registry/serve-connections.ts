// Who may keep a connection: everybody who sends or takes something, at more than a trickle, and says a name of ours.

import type { IncomingMessage, Server, ServerOptions } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { isLoopbackHost } from './registry-host.ts'
import { Refusal } from './serve-error.ts'

/** Headers must come within this time, and a connection without a request goes after it. */
const headersWithinMs = 30_000
/** Each may hold a file open and half a megabyte of it. */
const mostConnections = 500
/** Slower than any line on which a pull would end. */
const leastBytesPerSecond = 256

/** A connection on which nothing, or hardly anything, moves for `idleMs` goes. */
export function boundConnections(server: Server, idleMs: number): void {
  server.keepAliveTimeout = headersWithinMs
  server.timeout = idleMs
  server.maxConnections = mostConnections
  const moved = new Map<Socket, number>()
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    moved.set(socket, -1)
    socket.once('close', () => moved.delete(socket))
  })
  const timer = setInterval(() => {
    for (const [socket, before] of moved) {
      const now = socket.bytesRead + socket.bytesWritten
      // A connection that is younger than this is looked at the next time.
      const isSlow = before >= 0 && now - before < (leastBytesPerSecond * idleMs) / 1000
      if (isSlow) socket.destroy()
      else moved.set(socket, now)
    }
  }, idleMs)
  timer.unref()
  server.once('close', () => clearInterval(timer))
}

/** Of both kinds of server. */
export const connectionLimits: Pick<
  ServerOptions,
  'headersTimeout' | 'maxHeaderSize' | 'requestTimeout'
> = { headersTimeout: headersWithinMs, requestTimeout: 0, maxHeaderSize: 16 * 1024 }

/**
 * A page in a browser of this machine reaches loopback under a name of its own (DNS rebinding), and would read the answers.
 * With TLS the certificate stops it.
 * @throws Refusal 421
 */
export function requireOwnName({ headers }: IncomingMessage, names: readonly string[]): void {
  const host = URL.parse(`http://${headers.host ?? ''}`)?.hostname ?? ''
  if (isLoopbackHost(host) || names.includes(host)) return
  throw new Refusal(421, 'DENIED', 'this server has another name', { Connection: 'close' })
}

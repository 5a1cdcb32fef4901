// The resolver of one network: listens on the host's address there, answers for containers, and passes on what it does not
// know to the servers that the host asks, or that the container's caller named. It ends when nobody is on the network.

import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer, isIP, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno } from '../core/errors.ts'
import { tryLockFile } from '../native/file-lock.ts'
import type { BridgeSpec } from './bridge-spec.ts'
import { readHostResolver } from './host-resolver.ts'
import { parseIpv4, within } from './ipv4.ts'
import { answerCode, encodeAnswer, parseQuery } from './name-message.ts'
import { answerOwn, findAsker } from './name-table.ts'
import { type PlacedContainer, placedReader } from './placed-containers.ts'
import { hasPorts, usersLock } from './remove-network.ts'

export interface NameService {
  readonly spec: BridgeSpec
  readonly networkId: string
  /** Where it listens, port 53. */
  readonly address: string
  /** Nothing leaves the network, names neither. */
  readonly isInternal: boolean
  /** Called when it answers. */
  readonly onReady: () => void
  readonly signal?: AbortSignal | undefined
}

const port = 53

interface Serving extends NameService {
  readonly placed: () => readonly PlacedContainer[]
}

/** Answers until nobody is on the network any more. @throws a system error where it cannot listen */
export async function answerNames(asked: NameService): Promise<void> {
  const service: Serving = { ...asked, placed: placedReader() }
  await using stack = new AsyncDisposableStack()
  const datagrams = await bindDatagrams(service)
  stack.defer(() => void datagrams.close())
  datagrams.on('error', ignore)
  datagrams.on('message', (message, from) => {
    void serveDatagram(service, datagrams, { message, from }).catch(ignore)
  })
  const streams = createServer(client => serveStream(service, client))
  streams.maxConnections = mostStreams
  streams.listen({ port, host: service.address, exclusive: true })
  await once(streams, 'listening')
  stack.defer(() => void streams.close())
  service.onReady()
  await lastUser(service)
}

/** The resolver of a network that is gone, which had the same address, may take a moment to end. */
const bindsWithinMs = 5000
const bindAgainMs = 50

async function bindDatagrams({ address, signal }: NameService): Promise<DatagramSocket> {
  for (const deadlineMs = Date.now() + bindsWithinMs; ; ) {
    const socket = createSocket('udp4')
    try {
      socket.bind({ port, address, exclusive: true })
      await once(socket, 'listening')
      return socket
    } catch (error) {
      socket.close()
      if (!hasErrno(error, 'EADDRINUSE') || Date.now() > deadlineMs) throw error
      await sleep(bindAgainMs, undefined, { signal })
    }
  }
}

function ignore(): void {}

interface Datagram {
  readonly message: Buffer
  readonly from: RemoteInfo
}

async function serveDatagram(
  service: Serving,
  socket: DatagramSocket,
  { message, from }: Datagram,
): Promise<void> {
  const reply = await answer(service, message, from.address)
  if (reply !== undefined) socket.send(reply, from.port, from.address, ignore)
}

const mostStreams = 64
const mostWaiting = 256
const lookAgainMs = 1000

/** Who comes shares the network's lock before it has an interface, and keeps it. */
async function lastUser({ spec, signal }: NameService): Promise<void> {
  for (;;) {
    await sleep(lookAgainMs, undefined, { signal })
    if (!existsSync(spec.directory)) return
    const lock = hasPorts(spec) ? undefined : tryLockFile(usersLock(spec), 'exclusive')
    if (lock === undefined) continue
    lock[Symbol.dispose]()
    return
  }
}

/** Others reach the address, too: neighbours of the host, and containers of networks that lead nowhere. They are not served. */
function isOnNetwork({ spec: { addresses } }: NameService, from: string): boolean {
  const address = parseIpv4(from)
  return address !== undefined && addresses !== undefined && within(address, addresses.block)
}

/** Undefined: no answer, as for what is no question. */
async function answer(
  service: Serving,
  message: Buffer,
  from: string,
): Promise<Buffer | undefined> {
  const query = isOnNetwork(service, from) ? parseQuery(message) : undefined
  if (query === undefined) return undefined
  const containers = service.placed()
  const asker = findAsker(containers, service.networkId, from)
  const own = asker && answerOwn(query.question, asker, containers)
  if (own !== undefined) return encodeAnswer(query, own)
  const passedOn = service.isInternal ? undefined : await askOthers(message, asker)
  return passedOn ?? encodeAnswer(query, { code: answerCode.serverFailure })
}

let waiting = 0
/** Of three servers, before who asks gives up, after five seconds usually. */
const answersWithinMs = 1500

/** The first answer of the servers, one after the other; undefined where none answers in time. */
async function askOthers(
  message: Buffer,
  asker: PlacedContainer | undefined,
): Promise<Buffer | undefined> {
  if (waiting >= mostWaiting) return undefined
  waiting++
  try {
    for (const server of serversFor(asker)) {
      const reply = await askServer(message, server)
      if (reply !== undefined) return reply
    }
    return undefined
  } finally {
    waiting--
  }
}

/** This process is on the host's network, so a resolver on its loopback is as good as any. */
function serversFor(asker: PlacedContainer | undefined): readonly string[] {
  if (asker !== undefined && asker.servers.length > 0) return asker.servers
  const { own } = readHostResolver()
  const servers = [...own.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, server = '']) => server)
  return servers.filter(server => isIP(server) > 0).slice(0, 3)
}

/** Over a socket of its own that only this server can answer to. */
async function askServer(message: Buffer, server: string): Promise<Buffer | undefined> {
  const socket = createSocket(isIP(server) === 6 ? 'udp6' : 'udp4')
  const deadline = AbortSignal.timeout(answersWithinMs)
  try {
    socket.connect(port, server)
    await once(socket, 'connect', { signal: deadline })
    socket.send(message)
    return await matchingReply(socket, message, deadline)
  } catch {
    return undefined
  } finally {
    socket.close()
  }
}

async function matchingReply(
  socket: DatagramSocket,
  message: Buffer,
  signal: AbortSignal,
): Promise<Buffer> {
  for (;;) {
    const [reply]: Buffer[] = await once(socket, 'message', { signal })
    if (reply !== undefined && reply.readUInt16BE(0) === message.readUInt16BE(0)) return reply
  }
}

const idleMs = 10_000

/** Messages over TCP have their length before them (RFC 7766); large answers of others come that way. */
function serveStream(service: Serving, client: Socket): void {
  let bytes: Buffer = Buffer.alloc(0)
  client.setTimeout(idleMs, () => client.destroy())
  client.on('error', ignore)
  client.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    const length = bytes.length < 2 ? undefined : bytes.readUInt16BE(0)
    if (length === undefined || bytes.length < 2 + length) return
    const message = bytes.subarray(2, 2 + length)
    client.pause()
    void answerStream(service, client, message).catch(() => client.destroy())
  })
}

async function answerStream(service: Serving, client: Socket, message: Buffer): Promise<void> {
  const from = (client.remoteAddress ?? '').replace('::ffff:', '')
  const query = isOnNetwork(service, from) ? parseQuery(message) : undefined
  const containers = service.placed()
  const asker = findAsker(containers, service.networkId, from)
  const own = query && asker && answerOwn(query.question, asker, containers)
  const reply =
    query === undefined
      ? undefined
      : own !== undefined
        ? encodeAnswer(query, own)
        : ((service.isInternal ? undefined : await askByStream(message, asker)) ??
          encodeAnswer(query, { code: answerCode.serverFailure }))
  if (reply === undefined) {
    client.destroy()
    return
  }
  client.end(Buffer.concat([lengthOf(reply), reply]))
}

function lengthOf(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return length
}

async function askByStream(
  message: Buffer,
  asker: PlacedContainer | undefined,
): Promise<Buffer | undefined> {
  for (const host of serversFor(asker)) {
    const socket = connect({ host, port, timeout: answersWithinMs })
    socket.on('timeout', () => socket.destroy())
    try {
      socket.write(Buffer.concat([lengthOf(message), message]))
      let bytes = Buffer.alloc(0)
      for await (const chunk of socket) {
        bytes = Buffer.concat([bytes, chunk])
        if (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0))
          return bytes.subarray(2, 2 + bytes.readUInt16BE(0))
      }
    } catch {
      // The next one, then.
    } finally {
      socket.destroy()
    }
  }
  return undefined
}

// Published ports: sockets of the host that pass on to a container what comes in. They are this process's, so whatever
// ends it frees them; node:net and node:dgram are loaded with this file, which only containers with ports need.

import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { hasErrno, KauriError } from '../core/errors.ts'

/** A port of the host that leads to one of a container. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp'
  /** An IP address of the host; empty for all of them. */
  readonly hostAddress: string
  /** 0: any that is free. */
  readonly hostPort: number
  readonly containerPort: number
}

/** Ports that are this process's. Disposing closes them and every connection. */
export interface PortRelays extends AsyncDisposable {
  /** As asked for, with the ports that were free. */
  readonly ports: readonly PublishedPort[]
  /** From now on what comes in goes to this address; before, it is refused. */
  leadTo(address: string): void
}

/** Takes the ports. @throws NETWORK_UNAVAILABLE for one that somebody else has; none is taken then */
export async function openPortRelays(asked: readonly PublishedPort[]): Promise<PortRelays> {
  await using opened = new AsyncDisposableStack()
  const target: Target = { address: undefined }
  const ports: PublishedPort[] = []
  for (const port of asked) {
    const relay = await openRelay(port, target)
    opened.use(relay)
    ports.push({ ...port, hostPort: relay.port })
  }
  const kept = opened.move()
  return {
    ports,
    leadTo(address) {
      target.address = address
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

interface Target {
  address: string | undefined
}

interface Relay extends AsyncDisposable {
  /** That it listens on. */
  readonly port: number
}

type OpenRelay = (port: PublishedPort, target: Target, address: string) => Promise<Relay>

async function openRelay(port: PublishedPort, target: Target): Promise<Relay> {
  const open: OpenRelay = port.protocol === 'tcp' ? openStreamRelay : openDatagramRelay
  try {
    return await open(port, target, port.hostAddress || '::')
  } catch (error) {
    const isWithoutIpv6 =
      port.hostAddress === '' && hasErrno(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')
    if (!isWithoutIpv6) throw asRefusal(port, error)
  }
  try {
    return await open(port, target, '0.0.0.0')
  } catch (error) {
    throw asRefusal(port, error)
  }
}

function asRefusal({ hostAddress, hostPort, protocol }: PublishedPort, error: unknown): KauriError {
  const place = `${hostAddress === '' ? '' : `${hostAddress}:`}${hostPort}/${protocol}`
  const [what, hint] = hasErrno(error, 'EADDRINUSE')
    ? [`port ${place} of the host is in use`, 'publish another one, or end what listens there']
    : [`port ${place} of the host cannot be taken`, 'write an address and port of this host']
  return new KauriError('NETWORK_UNAVAILABLE', what, { hint, cause: error })
}

async function openStreamRelay(
  { hostPort, containerPort }: PublishedPort,
  target: Target,
  address: string,
): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, client => {
    const { address: host } = target
    if (host === undefined) client.resetAndDestroy()
    else relayStream(client, connect({ host, port: containerPort, allowHalfOpen: true }), sockets)
  })
  server.listen({ host: address, port: hostPort, exclusive: true })
  await once(server, 'listening')
  return {
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function portOf(server: Server | DatagramSocket): number {
  const { port } = server.address() as AddressInfo
  return port
}

/** Each side's end becomes the other's; an error of one breaks both off. */
function relayStream(client: Socket, container: Socket, sockets: Set<Socket>): void {
  for (const [socket, other] of [
    [client, container],
    [container, client],
  ] as const) {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => other.resetAndDestroy())
    socket.on('close', () => sockets.delete(socket))
    socket.pipe(other)
  }
}

/** A sender that says nothing for so long is forgotten. */
const idleMs = 60_000
const maxSenders = 1024

async function openDatagramRelay(
  { hostPort, containerPort }: PublishedPort,
  target: Target,
  address: string,
): Promise<Relay> {
  const server = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const senders = new Map<string, Sender>()
  server.on('message', (bytes, from) => {
    if (target.address === undefined) return
    const name = `${from.address} ${from.port}`
    const sender = senders.get(name) ?? openSender(server, from, () => senders.delete(name))
    // The oldest makes room, so that forged senders do not take all memory.
    if (senders.size >= maxSenders && !senders.has(name)) senders.values().next().value?.close()
    senders.set(name, sender)
    sender.send(bytes, containerPort, target.address)
  })
  server.bind({ address, port: hostPort, exclusive: true })
  await once(server, 'listening')
  // The container's answer to a sender that is gone is no error of the relay's.
  server.on('error', () => {})
  return {
    port: portOf(server),
    async [Symbol.asyncDispose]() {
      for (const sender of senders.values()) sender.close()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A socket that stands for one sender, so that the container's answers find back. */
interface Sender {
  send(bytes: Buffer, port: number, address: string): void
  close(): void
}

function openSender(server: DatagramSocket, from: RemoteInfo, forget: () => void): Sender {
  const socket = createSocket('udp4')
  let isOpen = true
  const close = (): void => {
    if (!isOpen) return
    isOpen = false
    clearTimeout(timer)
    forget()
    socket.close()
  }
  const timer = setTimeout(close, idleMs)
  socket.on('message', bytes => {
    timer.refresh()
    if (isOpen) server.send(bytes, from.port, from.address)
  })
  socket.on('error', close)
  return {
    send(bytes, port, address) {
      timer.refresh()
      if (isOpen) socket.send(bytes, port, address)
    },
    close,
  }
}

// Published ports: sockets of the host that pass on to a container what comes in. A small process of the launcher has them
// (launcher/ports.h); it ends with the last copy of a descriptor that whoever holds the container has, so that whatever ends
// the container frees its ports. For machines elsewhere it keeps entries of the packet filter fresh (port-translation.ts).

import { spawn } from 'node:child_process'
import { closeSync, constants, existsSync, mkdirSync, openSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { getSystemErrorName } from 'node:util'
import { namesIn } from '../core/directory-names.ts'
import { KauriError } from '../core/errors.ts'
import { randomHex } from '../core/random-hex.ts'
import { compiledPath } from '../native/compile-native.ts'
import { native } from '../native/native.ts'
import { networkDirectory } from './bridge-spec.ts'
import { addressBytes } from './ip-address.ts'
import { parseIpv4, toBytes } from './ipv4.ts'

/** A port of the host that leads to one of a container. */
export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp'
  /** An IP address of the host; empty for all of them. */
  readonly hostAddress: string
  /** 0: any that is free. */
  readonly hostPort: number
  readonly containerPort: number
}

/** Messages for the packet filter, as bytes: to renew the entries, to make them, to take them away. */
export interface PortEntries {
  readonly renew: Uint8Array
  readonly make: Uint8Array
  readonly remove: Uint8Array
}

/** Ports that are taken. Disposing frees them and ends every connection, unless others hold them, too. */
export interface PortRelay extends AsyncDisposable {
  /** As asked for, with the ports that were free. */
  readonly ports: readonly PublishedPort[]
  /** Whoever has a copy of it holds the ports. */
  readonly fd: number
  /** When it resolves what comes in goes to this IPv4 address; before, it waits. */
  leadTo(address: string, entries: PortEntries): Promise<void>
  /** Gives up this process's hold and leaves the ports to who has copies of the descriptor. */
  handOver(): void
}

/** Takes the ports. @throws NETWORK_UNAVAILABLE for one that somebody else has; none is taken then */
export async function openPortRelay(asked: readonly PublishedPort[]): Promise<PortRelay> {
  for (const deadlineMs = Date.now() + freeWithinMs; ; )
    try {
      return await takePorts(asked)
    } catch (error) {
      const { cause } = error instanceof KauriError ? error : {}
      const isInUse = cause instanceof Refusal && cause.isInUse
      if (!isInUse || Date.now() > deadlineMs) throw error
      await sleep(lookAgainMs)
    }
}

/** A container that starts again may have ports whose last relay is just ending. */
const freeWithinMs = 500
const lookAgainMs = 50

async function takePorts(asked: readonly PublishedPort[]): Promise<PortRelay> {
  const relay = startRelay()
  try {
    const bound = await relay.bind(asked, '::')
    return relayOf(relay, asked, bound)
  } catch (error) {
    await relay.end()
    if (error instanceof Refusal && error.isWithoutIpv6) return await openWithoutIpv6(asked)
    throw error instanceof Refusal ? error.asError() : error
  }
}

async function openWithoutIpv6(asked: readonly PublishedPort[]): Promise<PortRelay> {
  const relay = startRelay()
  try {
    return relayOf(relay, asked, await relay.bind(asked, '0.0.0.0'))
  } catch (error) {
    await relay.end()
    throw error instanceof Refusal ? error.asError() : error
  }
}

function relayOf(
  relay: StartedRelay,
  asked: readonly PublishedPort[],
  bound: readonly number[],
): PortRelay {
  return {
    ports: asked.map((port, index) => ({ ...port, hostPort: bound[index] ?? port.hostPort })),
    fd: relay.hold,
    async leadTo(address, { renew, make, remove }) {
      const blobs = [renew, make, remove].flatMap(blob => [u32(blob.length), blob])
      await relay.tell(Buffer.concat([toBytes(parseIpv4(address) ?? 0), ...blobs]))
    },
    handOver: () => relay.letGo(),
    [Symbol.asyncDispose]: () => relay.end(),
  }
}

/** The process, before it is known whether it gets the ports. */
interface StartedRelay {
  /** The end of the pipe that keeps it. */
  readonly hold: number
  /** Ports in order. @throws Refusal */
  bind(asked: readonly PublishedPort[], anyAddress: '::' | '0.0.0.0'): Promise<readonly number[]>
  /** The last words to it, and its answer. */
  tell(bytes: Uint8Array): Promise<void>
  letGo(): void
  /** Lets go and waits until the ports are free; only where nobody else holds it. */
  end(): Promise<void>
}

function startRelay(): StartedRelay {
  const hold = openHold()
  const child = spawn(compiledPath('launcher'), ['ports'], {
    // A session of its own: what the user types is none of its business.
    detached: true,
    env: {},
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', hold.readingEnd],
  })
  closeSync(hold.readingEnd)
  // It may outlive this process.
  child.unref()
  const ended = new Promise<void>(resolve => {
    child.once('error', () => resolve())
    child.once('exit', () => resolve())
  })
  const control = child.stdio[3] as Socket
  // Why it ended early, it has said before.
  control.on('error', () => {})
  const letGo = (): void => {
    control.destroy()
    hold.close()
  }
  return {
    hold: hold.writingEnd,
    async bind(asked, anyAddress) {
      const requests = asked.map(port => encodeRequest(port, anyAddress))
      control.write(Buffer.concat([u32(asked.length), ...requests]))
      return await readBound(control, asked)
    },
    async tell(bytes) {
      control.write(bytes)
      await readLines(control, 1)
      control.destroy()
    },
    letGo,
    async end() {
      letGo()
      child.ref()
      await ended
    },
  }
}

/** A pipe's ends; the reading one ends when every copy of the writing one is closed. */
interface Hold {
  readonly readingEnd: number
  readonly writingEnd: number
  /** Closes the writing end; idempotent. */
  close(): void
}

/** By way of a name, which is gone again when this returns: Node makes no pipes. */
function openHold(): Hold {
  const directory = path.join(networkDirectory(), 'pipes')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const name = `${process.pid}-${randomHex(8)}`
  const directoryFd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  const file = path.join(directory, name)
  try {
    native().makeNodeAt(directoryFd, name, fifoMode, 0, 0)
    const readingEnd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const writingEnd = openSync(file, constants.O_WRONLY | constants.O_NONBLOCK)
    let isOpen = true
    const close = (): void => {
      if (isOpen) closeSync(writingEnd)
      isOpen = false
    }
    return { readingEnd, writingEnd, close }
  } finally {
    closeSync(directoryFd)
    // With those that a killed kauri left in between.
    for (const entry of namesIn(directory))
      if (entry === name || !existsSync(`/proc/${Number.parseInt(entry, 10)}`))
        rmSync(path.join(directory, entry), { force: true })
  }
}

/** S_IFIFO, for its owner alone. */
const fifoMode = 0o010600

const protocolNumber = { tcp: 6, udp: 17 } as const

/** struct port_request */
function encodeRequest(
  { protocol, hostAddress, hostPort, containerPort }: PublishedPort,
  anyAddress: string,
): Buffer {
  const bytes = Buffer.alloc(24)
  const address = addressBytes(hostAddress || anyAddress)
  bytes.writeUInt8(protocolNumber[protocol], 0)
  bytes.writeUInt8(address.length === 4 ? 4 : 6, 1)
  bytes.writeUInt16LE(hostPort, 2)
  bytes.writeUInt16LE(containerPort, 4)
  bytes.set(address, 8)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** A port that the relay did not get. */
class Refusal extends Error {
  readonly #port: PublishedPort
  readonly #code: string
  constructor(port: PublishedPort, code: string) {
    super(`port ${port.hostPort}: ${code}`)
    this.#port = port
    this.#code = code
  }
  get isInUse(): boolean {
    return this.#code === 'EADDRINUSE'
  }
  get isWithoutIpv6(): boolean {
    return this.#port.hostAddress === '' && ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(this.#code)
  }
  asError(): KauriError {
    const { hostAddress, hostPort, protocol } = this.#port
    const host = hostAddress.includes(':') ? `[${hostAddress}]` : hostAddress
    const place = `${host === '' ? '' : `${host}:`}${hostPort}/${protocol}`
    const [what, hint] =
      this.#code === 'EADDRINUSE'
        ? [`port ${place} of the host is in use`, 'publish another one, or end what listens there']
        : [`port ${place} of the host cannot be taken`, 'write an address and port of this host']
    return new KauriError('NETWORK_UNAVAILABLE', what, { hint, cause: this })
  }
}

/** Reads `bound PORT` for each, or throws what `refused INDEX ERRNO` says. */
async function readBound(
  control: Socket,
  asked: readonly PublishedPort[],
): Promise<readonly number[]> {
  const lines = await readLines(control, asked.length)
  const refused = lines.map(line => /^refused (\d+) (\d+)$/.exec(line)).find(Boolean)
  const port = refused && asked[Number(refused[1])]
  if (port !== undefined && port !== null)
    throw new Refusal(port, getSystemErrorName(-Number(refused?.[2])))
  const bound = lines.flatMap(line => /^bound (\d+)$/.exec(line)?.[1] ?? []).map(Number)
  if (bound.length === asked.length) return bound
  throw new KauriError('NETWORK_UNAVAILABLE', `no ports were taken: ${lines.join(', ')}`)
}

/** So many lines, or fewer where there are no more. */
function readLines(stream: Socket, count: number): Promise<readonly string[]> {
  return new Promise(resolve => {
    let text = ''
    const look = (): void => {
      const lines = text.split('\n').slice(0, -1)
      if (lines.length < count && !text.includes('refused ')) return
      stream.off('data', onData)
      resolve(lines)
    }
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      look()
    }
    stream.on('data', onData)
    stream.once('close', () => resolve(text.split('\n').slice(0, -1)))
  })
}

// One more interface for a container that runs, and one less. The launcher enters the container's network for the former,
// since this process has threads and enters nothing.

import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { KauriError } from '../core/errors.ts'
import { compiledPath } from '../native/compile-native.ts'
import type { AddressLease } from './bridge-lease.ts'
import { listLinks, parseLink } from './link-messages.ts'
import { encodeMessages, netlinkProtocol, netlinkRequest } from './netlink.ts'
import { removeIfThere } from './remove-network.ts'

export interface RunningInterface {
  /** A process of the container. */
  readonly pid: number
  /** `eth1` is 1; free in the container. */
  readonly number: number
  readonly isWayOut: boolean
}

/** Makes a lease's interface in a container's network. From then on the interface holds the address. @throws NETWORK_UNAVAILABLE */
export async function connectRunning(
  lease: AddressLease,
  { pid, number, isWayOut }: RunningInterface,
): Promise<void> {
  const child = spawn(compiledPath('launcher'), ['connect', String(pid)], {
    env: {},
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const control = child.stdio[3] as Socket
  control.on('error', () => {})
  for (const messages of [lease.outside(number, pid), lease.inside(number, isWayOut)]) {
    const bytes = encodeMessages(messages)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    control.write(Buffer.concat([length, bytes]))
  }
  const said = await wholeText(control)
  if (said.startsWith('connected ')) return
  removePort(lease.port)
  throw new KauriError('NETWORK_UNAVAILABLE', said.replace(/^error \S+ /, '').trim(), {
    hint: 'look whether the container still runs, with kauri ps',
  })
}

function wholeText(stream: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
    })
    stream.once('close', () => resolve(text))
  })
}

/** Takes a container's interface away, by its name on the host; one that is gone is fine. */
export function removePort(name: string): void {
  const link = netlinkRequest(netlinkProtocol.route, [listLinks()])
    .flatMap(reply => parseLink(reply) ?? [])
    .find(found => found.name === name)
  if (link !== undefined) removeIfThere(link.index)
}

// Forwarding of IPv4 packets, which the bridge needs and which is a setting of the whole host. Where kauri switches it on,
// the interfaces that were there before go on forwarding nothing to each other; how it was is written down first.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { readTextSync } from '../core/text-file.ts'
import { listLinks, parseLink } from './link-messages.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'

/** What of the host's network kauri changed, for whoever wants it as it was. */
export interface NetworkRecord {
  readonly bridge: string
  readonly forwardedBefore: boolean
  /** Interfaces that were there when kauri switched forwarding on; empty where others had done so. */
  readonly strangers: readonly string[]
}

const settingFile = '/proc/sys/net/ipv4/ip_forward'

export function isForwarding(): boolean {
  return readFileSync(settingFile, 'latin1').trim() === '1'
}

/** Switches forwarding on. @throws a system error */
export function startForwarding(): void {
  writeFileSync(settingFile, '1')
}

/** The record in a directory; undefined where there is none that can be read. */
export function readNetworkRecord(directory: string): NetworkRecord | undefined {
  const text = readTextSync(path.join(directory, recordName))
  if (text === undefined) return undefined
  try {
    return parseRecord(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Writes down how the host is now, unless that has been done and holds. */
export function recordNetwork(directory: string, bridge: string): NetworkRecord {
  const known = readNetworkRecord(directory)
  const forwardedBefore = isForwarding()
  if (known !== undefined && forwardedBefore) return known
  const record = { bridge, forwardedBefore, strangers: forwardedBefore ? [] : otherLinks(bridge) }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const temporary = path.join(directory, `.${recordName}`)
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 })
  renameSync(temporary, path.join(directory, recordName))
  return record
}

const recordName = 'network.json'

function parseRecord(value: unknown): NetworkRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { bridge, forwardedBefore, strangers } = value as Partial<NetworkRecord>
  const isWhole =
    typeof bridge === 'string' &&
    typeof forwardedBefore === 'boolean' &&
    Array.isArray(strangers) &&
    strangers.every(name => typeof name === 'string')
  return isWhole ? { bridge, forwardedBefore, strangers } : undefined
}

const loopback = 1

function otherLinks(bridge: string): readonly string[] {
  return netlinkRequest(netlinkProtocol.route, [listLinks()])
    .flatMap(reply => parseLink(reply) ?? [])
    .filter(({ index, name }) => index !== loopback && name !== bridge && !name.startsWith('kauri'))
    .map(({ name }) => name)
}

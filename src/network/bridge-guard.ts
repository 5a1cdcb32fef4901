// The packet filter's tables for the bridge: made in one transaction, and known again by a mark in them, which tells for
// what bridge and by which revision of the rules they were made. Looking costs a few calls; what the rules are, only who
// makes them needs to know (bridge-rules.ts).

import { hasErrno } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Ipv4, Ipv4Block } from './ipv4.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'
import { type NftTable, nftFamily } from './nft-header.ts'
import { getTable, listRules, parseRule, parseTableMark } from './nft-messages.ts'

/** A bridge, the host's address on it, and the block of all addresses. */
export interface GuardedBridge {
  readonly name: string
  readonly gateway: Ipv4
  readonly block: Ipv4Block
  /** Interfaces between which the host forwarded nothing before there was a bridge; that stays so. */
  readonly strangers: readonly string[]
}

/** Raised with every change of the rules; a test tells when. */
export const rulesRevision = 1

/** For packets that go through the host. */
export const routingTable: NftTable = { family: nftFamily.ip, name: 'kauri' }

/** For those from port to port, or from a port to the host. */
export const portTable: NftTable = { family: nftFamily.bridge, name: 'kauri' }

/** Where published ports lead: elements are added by whoever runs the container. */
export const publishedMap = 'published'

/** Every address that a container can have, with the hardware address that goes with it. */
export const pairSet = 'pairs'

/** True while the tables are there as this version of kauri makes them, whole. @throws a system error */
export function hasBridgeRules(bridge: GuardedBridge): boolean {
  const wanted = markOf(bridge)
  return [routingTable, portTable].every(table => {
    const [, mark, count] = /^(\S+ \S+) (\d+)$/.exec(findMark(table)) ?? []
    return mark === wanted && Number(count) === countRules(table)
  })
}

/** Revision of the rules, and a fingerprint of what they are made for. */
function markOf({ name, gateway, block, strangers }: GuardedBridge): string {
  const made = [name, gateway, block.address, block.prefixLength, ...strangers]
  return `${rulesRevision} ${fingerprint(made.join('\0'))}`
}

function findMark(table: NftTable): string {
  try {
    const [mark] = netlinkRequest(netlinkProtocol.netfilter, [getTable(table)]).flatMap(
      reply => parseTableMark(reply) ?? [],
    )
    return mark?.toString('latin1') ?? ''
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return ''
    throw error
  }
}

function countRules(table: NftTable): number {
  return netlinkRequest(netlinkProtocol.netfilter, [listRules(table)]).flatMap(
    reply => parseRule(reply) ?? [],
  ).length
}

/** Makes the tables anew, in one transaction. @throws a system error */
export async function makeBridgeRules(bridge: GuardedBridge): Promise<void> {
  const [{ addressPairs, bridgeTables }, { replaceTable, transaction }, { addPairs }] =
    await Promise.all([
      import('./bridge-rules.ts'),
      import('./nft-messages.ts'),
      import('./nft-sets.ts'),
    ])
  const tables = bridgeTables(bridge).flatMap(guard => {
    const count = guard.chains.flatMap(({ rules }) => rules).length
    return replaceTable(guard.table, guard, Buffer.from(`${markOf(bridge)} ${count}`))
  })
  const pairs = addPairs(portTable, pairSet, addressPairs(bridge.block))
  netlinkRequest(netlinkProtocol.netfilter, transaction([...tables, ...pairs]))
}

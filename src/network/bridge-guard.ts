// The packet filter's tables for the bridge: made in one transaction, and known again by a mark in them, which tells for
// what bridge and by which revision of the rules they were made. Looking costs a few calls; what the rules are, only who
// makes them needs to know (bridge-rules.ts).

import { hasErrno } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import type { Ipv4, Ipv4Block } from './ipv4.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'
import { type NftTable, nftFamily } from './nft-header.ts'
import { getTable, listRules, parseRule, parseTableMark } from './nft-messages.ts'

/** A bridge and what its packet filter must know of it. */
export interface GuardedBridge {
  readonly name: string
  /** How the names of its ports begin. */
  readonly ports: string
  /** Name of its tables. */
  readonly table: string
  /** The host's address on it, the containers' gateway. */
  readonly gateway: Ipv4
  /** All addresses. */
  readonly block: Ipv4Block
  /** Those that are handed out to who asks for none in particular; at most 4,096 of them. */
  readonly leased: Ipv4Block
  /** What builds run shares it, with the upper half of the addresses. */
  readonly servesBuilds: boolean
  /** Nothing goes through it to elsewhere, or comes in. */
  readonly isInternal: boolean
  /** What leaves for elsewhere gets the host's address. */
  readonly masquerades: boolean
  /** Containers reach the host, and no other container. */
  readonly separates: boolean
  /** Interfaces between which the host forwarded nothing before there was a bridge; that stays so. */
  readonly strangers: readonly string[]
}

/** Raised with every change of the rules; a test tells when. */
export const rulesRevision = 2

/** For packets that go through the host. */
export function routingTable(name: string): NftTable {
  return { family: nftFamily.ip, name }
}

/** For those from port to port, or from a port to the host. */
export function portTable(name: string): NftTable {
  return { family: nftFamily.bridge, name }
}

/** Where published ports lead: elements are added by whoever runs the container. */
export const publishedMap = 'published'

/** Every address that a container can have, with the hardware address that goes with it. */
export const pairSet = 'pairs'

/** The same for addresses that were asked for, which no list could hold. */
export const askedSet = 'asked'

/** True while the tables are there as this version of kauri makes them, whole. @throws a system error */
export function hasBridgeRules(bridge: GuardedBridge): boolean {
  const wanted = markOf(bridge)
  return tablesOf(bridge).every(table => {
    const [, mark, count] = /^(\S+ \S+) (\d+)$/.exec(findMark(table)) ?? []
    return mark === wanted && Number(count) === countRules(table)
  })
}

/** Revision of the rules, and a fingerprint of what they are made for. */
function markOf(bridge: GuardedBridge): string {
  const { name, ports, table, gateway, block, leased, strangers } = bridge
  const { servesBuilds, isInternal, masquerades, separates } = bridge
  const blocks = [gateway, block.address, block.prefixLength, leased.address, leased.prefixLength]
  const kinds = [servesBuilds, isInternal, masquerades, separates]
  const made = [name, ports, table, ...blocks, ...kinds, ...strangers]
  return `${rulesRevision} ${fingerprint(made.join('\0'))}`
}

function tablesOf({ table }: GuardedBridge): readonly NftTable[] {
  return [routingTable(table), portTable(table)]
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
  const pairs = addPairs(portTable(bridge.table), pairSet, addressPairs(bridge.leased))
  netlinkRequest(netlinkProtocol.netfilter, transaction([...tables, ...pairs]))
}

/** Takes a bridge's tables away; those that are not there are fine. @throws a system error */
export async function removeBridgeRules(bridge: Pick<GuardedBridge, 'table'>): Promise<void> {
  const { removeTable, transaction } = await import('./nft-messages.ts')
  for (const table of [routingTable(bridge.table), portTable(bridge.table)])
    try {
      netlinkRequest(netlinkProtocol.netfilter, transaction([removeTable(table)]))
    } catch (error) {
      if (!hasErrno(error, 'ENOENT')) throw error
    }
}

// What the packet filter does for kauri's bridge, in a table of kauri's own: packets from containers have a container's
// address, those that leave for elsewhere get the host's, and nothing comes in but answers. An accept here decides
// nothing for the tables of others; host-firewall.ts sees to those.

import { hasErrno } from '../core/errors.ts'
import { fingerprint } from '../core/fingerprint.ts'
import { type Ipv4Block, maskOf, toBytes } from './ipv4.ts'
import { encodeMessages, netlinkProtocol, netlinkRequest } from './netlink.ts'
import {
  decide,
  type Expression,
  getTable,
  interfaceIs,
  isAnswer,
  listRules,
  masquerade,
  type NftChain,
  type NftTable,
  nftFamily,
  nftHook,
  parseRule,
  parseTableMark,
  payloadIs,
  replaceTable,
  transaction,
} from './nft-messages.ts'

const table: NftTable = { family: nftFamily.ip, name: 'kauri' }

/** Of an IPv4 header. */
const sourceAt = { base: 'network', offset: 12 } as const

/** Before connections are looked up; where they are let through; where they get another source. */
const priority = { raw: -300, filter: 0, sourceNat: 100 } as const

/** The chains for a bridge and the block of its containers. */
export function bridgeChains(bridge: string, block: Ipv4Block): readonly NftChain[] {
  const source = (is: 'equal' | 'unequal'): Expression[] =>
    payloadIs(sourceAt, toBytes(block.address), { mask: toBytes(maskOf(block.prefixLength)), is })
  return [
    {
      name: 'prerouting',
      type: 'filter',
      hook: nftHook.preRouting,
      priority: priority.raw,
      // Raw sockets are among a container's rights, and with them any source address.
      rules: [[...interfaceIs('in', bridge), ...source('unequal'), decide('drop')]],
    },
    {
      name: 'forward',
      type: 'filter',
      hook: nftHook.forward,
      priority: priority.filter,
      rules: [
        [...interfaceIs('out', bridge), ...isAnswer(), decide('accept')],
        [...interfaceIs('out', bridge), ...interfaceIs('in', bridge, 'unequal'), decide('drop')],
      ],
    },
    {
      name: 'postrouting',
      type: 'nat',
      hook: nftHook.postRouting,
      priority: priority.sourceNat,
      rules: [[...source('equal'), ...interfaceIs('out', bridge, 'unequal'), masquerade()]],
    },
  ]
}

/** True while the table is there as this version of kauri makes it, whole. @throws a system error */
export function hasBridgeRules(bridge: string, block: Ipv4Block): boolean {
  const chains = bridgeChains(bridge, block)
  try {
    const [mark] = netlinkRequest(netlinkProtocol.netfilter, [getTable(table)]).flatMap(
      reply => parseTableMark(reply) ?? [],
    )
    if (mark === undefined || !mark.equals(markOf(chains))) return false
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false
    throw error
  }
  const found = netlinkRequest(netlinkProtocol.netfilter, [listRules(table)]).flatMap(
    reply => parseRule(reply) ?? [],
  )
  return found.length === chains.flatMap(({ rules }) => rules).length
}

/** Makes the table anew, in one transaction. @throws a system error */
export function makeBridgeRules(bridge: string, block: Ipv4Block): void {
  const chains = bridgeChains(bridge, block)
  netlinkRequest(
    netlinkProtocol.netfilter,
    transaction(replaceTable(table, chains, markOf(chains))),
  )
}

/** What the rules are made of is remembered with them, so that another version's rules are known as such. */
function markOf(chains: readonly NftChain[]): Uint8Array {
  const messages = replaceTable(table, chains, new Uint8Array())
  return Buffer.from(fingerprint(encodeMessages(messages).toString('latin1')))
}

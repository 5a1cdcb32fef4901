// Addresses that somebody asked for and hardware addresses that do not go with theirs: the packet filter lets them pass
// where they are in a set of their own, whose elements are taken out when their port is gone.

import { askedSet, portTable } from './bridge-guard.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'
import { transaction } from './nft-messages.ts'
import { type AddressPair, addPairs, listPairs, parsePairs, removePairs } from './nft-sets.ts'

/** Lets a pair pass by a bridge's table, and takes out those whose address `isGone`. @throws a system error */
export function letPass(
  table: string,
  pair: AddressPair,
  isGone: (pair: AddressPair) => boolean,
): void {
  const at = portTable(table)
  const known = netlinkRequest(netlinkProtocol.netfilter, [listPairs(at, askedSet)]).flatMap(
    parsePairs,
  )
  const old = known.filter(found => found.address === pair.address || isGone(found))
  const messages = [
    ...(old.length === 0 ? [] : [removePairs(at, askedSet, old)]),
    ...addPairs(at, askedSet, [pair]),
  ]
  netlinkRequest(netlinkProtocol.netfilter, transaction(messages))
}

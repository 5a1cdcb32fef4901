// What the packet filter does for kauri's bridge, in tables of kauri's own. Packets from a container have an address of
// those that it may have, those that leave for elsewhere get the host's, and nothing comes in but answers; what a build runs
// is alone with the host. An accept here decides nothing for the tables of others; host-firewall.ts sees to those.

import {
  askedSet,
  type GuardedBridge,
  pairSet,
  portTable,
  publishedMap,
  routingTable,
} from './bridge-guard.ts'
import { type BridgeUse, blockFor, hardwareAddressOf, portPrefix } from './bridge-ports.ts'
import { type Ipv4Block, maskOf, toBytes } from './ipv4.ts'
import {
  decide,
  type Expression,
  interfaceIs,
  isAnswer,
  isForHost,
  isTranslated,
  jumpTo,
  masquerade,
  pairIsUnknown,
  payloadIs,
  translateDestination,
} from './nft-expressions.ts'
import type { NftTable } from './nft-header.ts'
import { type NftChain, nftHook, type TableContents } from './nft-messages.ts'
import type { AddressPair } from './nft-sets.ts'

export interface GuardTable extends TableContents {
  readonly table: NftTable
}

/** Before connections are looked up; where packets get another destination, are let through, get another source. */
const priority = { raw: -300, destinationNat: -100, filter: 0, sourceNat: 100 } as const

/** Where fields of Ethernet, ARP and IPv4 headers are. */
const field = {
  hardwareSource: { base: 'link', offset: 6 },
  etherType: { base: 'link', offset: 12 },
  arpHardwareSender: { base: 'network', offset: 8 },
  arpSender: { base: 'network', offset: 14 },
  source: { base: 'network', offset: 12 },
  destination: { base: 'network', offset: 16 },
} as const

const etherType = { ip: Uint8Array.of(0x08, 0x00), arp: Uint8Array.of(0x08, 0x06) } as const

/** The tables for a bridge. */
export function bridgeTables(bridge: GuardedBridge): readonly GuardTable[] {
  return [
    {
      table: routingTable(bridge.table),
      sets: [{ name: publishedMap, kind: 'published' }],
      chains: routingChains(bridge),
    },
    {
      table: portTable(bridge.table),
      sets: [
        { name: pairSet, kind: 'pairs' },
        { name: askedSet, kind: 'pairs' },
      ],
      chains: portChains(bridge),
    },
  ]
}

function within(
  at: (typeof field)[keyof typeof field],
  { address, prefixLength }: Ipv4Block,
  is: 'equal' | 'unequal' = 'equal',
): Expression[] {
  return payloadIs(at, toBytes(address), { mask: toBytes(maskOf(prefixLength)), is })
}

const betweenStrangers = 'between-strangers'

/** What goes through the host. */
function routingChains(bridge: GuardedBridge): readonly NftChain[] {
  const { name, block, strangers, masquerades } = bridge
  return [
    {
      name: betweenStrangers,
      rules: strangers.map(stranger => [...interfaceIs('out', stranger), decide('drop')]),
    },
    {
      name: 'prerouting',
      base: { type: 'filter', hook: nftHook.preRouting, priority: priority.raw },
      // Raw sockets are among a container's rights, and with them any source address.
      rules: [
        [...interfaceIs('in', name), ...within(field.source, block, 'unequal'), decide('drop')],
      ],
    },
    {
      name: publishedMap,
      base: { type: 'nat', hook: nftHook.preRouting, priority: priority.destinationNat },
      // A container that asks the host's address is served by a socket: the answer would not come back this way.
      rules: [
        [
          ...interfaceIs('in', name, 'unequal'),
          ...isForHost(),
          ...translateDestination(publishedMap),
        ],
      ],
    },
    {
      name: 'forward',
      base: { type: 'filter', hook: nftHook.forward, priority: priority.filter },
      rules: forwardRules(bridge),
    },
    {
      name: 'postrouting',
      base: { type: 'nat', hook: nftHook.postRouting, priority: priority.sourceNat },
      rules: masquerades
        ? [[...within(field.source, block), ...interfaceIs('out', name, 'unequal'), masquerade()]]
        : [],
    },
  ]
}

function forwardRules(bridge: GuardedBridge): readonly (readonly Expression[])[] {
  const { name, block, strangers, isInternal, separates, servesBuilds } = bridge
  const through = [...interfaceIs('in', name), ...interfaceIs('out', name)]
  const others = interfaceIs('in', name, 'unequal')
  const builds = blockFor(block, 'build')
  return [
    ...strangers.map(stranger => [...interfaceIs('in', stranger), jumpTo(betweenStrangers)]),
    // By way of the host a port would get past what keeps it from other ports.
    ...(servesBuilds
      ? [
          [...through, ...within(field.source, builds), decide('drop')],
          [...through, ...within(field.destination, builds), decide('drop')],
        ]
      : []),
    ...(separates ? [[...through, decide('drop')]] : []),
    ...(isInternal
      ? [
          [...interfaceIs('in', name), ...interfaceIs('out', name, 'unequal'), decide('drop')],
          [...interfaceIs('out', name), ...others, decide('drop')],
        ]
      : []),
    [...interfaceIs('out', name), ...isAnswer(), decide('accept')],
    [...interfaceIs('out', name), ...isTranslated(), decide('accept')],
    [...interfaceIs('out', name), ...others, decide('drop')],
  ]
}

/** What goes from port to port, or from a port to the host. */
function portChains(bridge: GuardedBridge): readonly NftChain[] {
  const anyPort = interfaceIs('in', `${bridge.ports}*`)
  const builds = `${portPrefix(bridge.ports, 'build')}*`
  const gateway = { address: bridge.gateway, prefixLength: 32 }
  const is = (type: keyof typeof etherType): Expression[] =>
    payloadIs(field.etherType, etherType[type])
  const isNot = (type: keyof typeof etherType): Expression[] =>
    payloadIs(field.etherType, etherType[type], { is: 'unequal' })
  return [
    {
      name: 'prerouting',
      base: { type: 'filter', hook: nftHook.preRouting, priority: priority.raw },
      rules: [
        [...anyPort, ...isNot('ip'), ...isNot('arp'), decide('drop')],
        [
          ...anyPort,
          ...is('ip'),
          ...pairIsUnknown([pairSet, askedSet], field.hardwareSource, field.source),
          decide('drop'),
        ],
        [
          ...anyPort,
          ...is('arp'),
          ...pairIsUnknown([pairSet, askedSet], field.arpHardwareSender, field.arpSender),
          decide('drop'),
        ],
        // Who answers for the gateway reads what others send out.
        [...anyPort, ...is('arp'), ...within(field.arpSender, gateway), decide('drop')],
        [...anyPort, ...is('ip'), ...within(field.source, gateway), decide('drop')],
        ...(bridge.servesBuilds
          ? [...ownAddressRules(bridge, 'container', is), ...ownAddressRules(bridge, 'build', is)]
          : []),
      ],
    },
    {
      name: 'forward',
      base: { type: 'filter', hook: nftHook.forward, priority: priority.filter },
      rules: bridge.servesBuilds
        ? [
            [...interfaceIs('in', builds), decide('drop')],
            [...interfaceIs('out', builds), decide('drop')],
          ]
        : [],
    },
  ]
}

/** Containers and builds each have a half of the block, so that one cannot pass for the other. */
function ownAddressRules(
  { ports, block }: GuardedBridge,
  use: BridgeUse,
  is: (type: keyof typeof etherType) => Expression[],
): Expression[][] {
  const port = interfaceIs('in', `${portPrefix(ports, use)}*`)
  const own = blockFor(block, use)
  return [
    [...port, ...is('ip'), ...within(field.source, own, 'unequal'), decide('drop')],
    [...port, ...is('arp'), ...within(field.arpSender, own, 'unequal'), decide('drop')],
  ]
}

/** Every address of a block, with its hardware address. */
export function addressPairs({ address: first, prefixLength }: Ipv4Block): readonly AddressPair[] {
  return Array.from({ length: 2 ** (32 - prefixLength) }, (_, index) => ({
    hardwareAddress: hardwareAddressOf(first + index),
    address: first + index,
  }))
}

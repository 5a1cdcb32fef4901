// Other programs' packet filters that let nothing through unless told so: docker and ufw set the policy of iptables'
// FORWARD chain to DROP. Packets of kauri's bridge pass where rules in that very chain accept them; docker keeps the chain
// DOCKER-USER for rules of others. They are made as iptables would make them, which lists and deletes them as its own.

import { listLinks, parseLink } from './link-messages.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'
import {
  counter,
  decide,
  type Expression,
  interfaceIs,
  listChains,
  listRules,
  nftFamily,
  nftHook,
  parseChain,
  parseRule,
  ruleMessage,
  ruleText,
  transaction,
} from './nft-messages.ts'

/** What iptables calls its table. */
const filter = { family: nftFamily.ip, name: 'filter' } as const

/** Whose packets are to pass. */
export interface PassingBridge {
  readonly name: string
  /** Index of the interface by which packets leave the host. */
  readonly uplink: number
}

/** True where nothing but kauri's own rules decides about the bridge's packets, or what does accepts them. @throws a system error */
export function hostFirewallPasses(bridge: PassingBridge): boolean {
  const chain = decidingChain()
  return chain === undefined || missingRules(bridge, chain).length === 0
}

/** Adds the rules that are missing. @throws a system error */
export function openHostFirewall(bridge: PassingBridge): void {
  const chain = decidingChain()
  if (chain === undefined) return
  const missing = missingRules(bridge, chain)
  if (missing.length === 0) return
  const messages = missing.map(rule => ruleMessage(filter, chain, { rule, at: 'start' }))
  netlinkRequest(netlinkProtocol.netfilter, transaction(messages))
}

/** Where rules for the bridge belong; undefined where no chain drops what it is not told to accept. */
function decidingChain(): string | undefined {
  const chains = netlinkRequest(netlinkProtocol.netfilter, [listChains(nftFamily.ip)])
    .flatMap(reply => parseChain(reply) ?? [])
    .filter(({ table }) => table === filter.name)
  const isGuarded = chains.some(({ hook, drops }) => hook === nftHook.forward && drops)
  if (!isGuarded) return undefined
  return chains.some(({ name }) => name === 'DOCKER-USER') ? 'DOCKER-USER' : 'FORWARD'
}

function missingRules(bridge: PassingBridge, chain: string): readonly (readonly Expression[])[] {
  const found = new Set(
    netlinkRequest(netlinkProtocol.netfilter, [listRules(filter, chain)])
      .flatMap(reply => parseRule(reply) ?? [])
      .filter(rule => rule.chain === chain)
      .map(({ expressions }) => ruleText(expressions)),
  )
  return wantedRules(bridge).filter(rule => !found.has(ruleText(rule)))
}

/** What comes to the bridge was checked by kauri's own rules; what leaves it may go where it leaves the host. */
function wantedRules({ name, uplink }: PassingBridge): readonly (readonly Expression[])[] {
  return [
    [...interfaceIs('out', name), counter(), decide('accept')],
    ...waysOut(uplink).map(out => [
      ...interfaceIs('in', name),
      ...interfaceIs('out', out),
      counter(),
      decide('accept'),
    ]),
  ]
}

/** Interfaces that lead out of the host; other bridges and what is on them are guarded by their owners. */
function waysOut(uplink: number): readonly string[] {
  const inner = new Set(['bridge', 'veth', 'dummy', 'ifb'])
  const loopback = 1
  return netlinkRequest(netlinkProtocol.route, [listLinks()])
    .flatMap(reply => parseLink(reply) ?? [])
    .filter(({ index, kind }) => index === uplink || (index !== loopback && !inner.has(kind)))
    .map(link => link.name)
}

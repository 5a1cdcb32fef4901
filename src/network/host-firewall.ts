// Other programs' packet filters that let nothing through unless told so: docker and ufw set the policy of iptables'
// FORWARD chain to DROP. Packets of kauri's bridge pass where rules in that very chain accept them; docker keeps the chain
// DOCKER-USER for rules of others. They are as iptables would make them, which lists and deletes them as its own.

import { closeLegacyFirewall, openLegacyFirewall, usesLegacyFirewall } from './legacy-firewall.ts'
import { listLinks, parseLink } from './link-messages.ts'
import { netlinkProtocol, netlinkRequest } from './netlink.ts'
import { counter, decide, type Expression, interfaceIs, ruleText } from './nft-expressions.ts'
import { nftFamily } from './nft-header.ts'
import {
  type KnownRule,
  listChains,
  listRules,
  nftHook,
  parseChain,
  parseRule,
  removeRule,
  ruleMessage,
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

/** From one interface to another; undefined for any. */
export interface Passage {
  readonly from?: string
  readonly to: string
}

/** True where nothing but kauri's own rules decides about the bridge's packets, or what does accepts them. @throws a system error */
export function hostFirewallPasses(bridge: PassingBridge): boolean {
  // What the old iptables has can only be learnt by running it.
  if (usesLegacyFirewall()) return false
  const chain = decidingChain()
  return chain === undefined || missingRules(bridge, chain).length === 0
}

/** Adds the rules that are missing. @throws a system error, PREREQUISITE_MISSING, PROCESS_FAILED */
export async function openHostFirewall(bridge: PassingBridge): Promise<void> {
  if (usesLegacyFirewall()) await openLegacyFirewall(passages(bridge))
  const chain = decidingChain()
  const missing = chain === undefined ? [] : missingRules(bridge, chain)
  if (chain === undefined || missing.length === 0) return
  const messages = missing.map(rule => ruleMessage(filter, chain, { rule, at: 'start' }))
  netlinkRequest(netlinkProtocol.netfilter, transaction(messages))
}

/** Takes away the rules that were added for a bridge. @throws a system error, PREREQUISITE_MISSING, PROCESS_FAILED */
export async function closeHostFirewall(bridge: string): Promise<void> {
  if (usesLegacyFirewall()) await closeLegacyFirewall(bridge)
  const chain = decidingChain()
  if (chain === undefined) return
  const isFor = Buffer.from(`${bridge}\0`).toString('hex')
  const added = knownRules(chain).filter(({ expressions }) => ruleText(expressions).includes(isFor))
  if (added.length === 0) return
  const messages = added.map(rule => removeRule(filter, rule))
  netlinkRequest(netlinkProtocol.netfilter, transaction(messages))
}

function knownRules(chain: string): readonly KnownRule[] {
  return netlinkRequest(netlinkProtocol.netfilter, [listRules(filter, chain)])
    .flatMap(reply => parseRule(reply) ?? [])
    .filter(rule => rule.chain === chain)
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
  const found = new Set(knownRules(chain).map(({ expressions }) => ruleText(expressions)))
  return passages(bridge)
    .map(passage => acceptRule(passage))
    .filter(rule => !found.has(ruleText(rule)))
}

function acceptRule({ from, to }: Passage): readonly Expression[] {
  const incoming = from === undefined ? [] : interfaceIs('in', from)
  return [...incoming, ...interfaceIs('out', to), counter(), decide('accept')]
}

/** What comes to the bridge was checked by kauri's own rules; what leaves it may go where it leaves the host. */
function passages({ name, uplink }: PassingBridge): readonly Passage[] {
  return [{ to: name }, ...waysOut(uplink).map(to => ({ from: name, to }))]
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

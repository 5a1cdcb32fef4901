// nf_tables in netlink's words (linux/netfilter/nf_tables.h): tables with chains of rules, and maps. Numbers are big-endian
// here.

import {
  type Attribute,
  type NetlinkMessage,
  type NetlinkReply,
  nameBytes,
  netlinkFlag,
  parseAttributes,
  textOf,
  u32BigEndian,
} from './netlink.ts'
import type { Expression } from './nft-expressions.ts'
import {
  familyHeader,
  type NftFamily,
  type NftTable,
  nftMessage,
  nftSubsystem,
} from './nft-header.ts'
import { type NftSet, setMessage } from './nft-sets.ts'

const batch = { begin: 0x10, end: 0x11 } as const

const tableAttribute = { name: 1, userData: 6 } as const
const chainAttribute = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const
const hookAttribute = { number: 1, priority: 2 } as const
const ruleAttribute = { table: 1, chain: 2, handle: 3, expressions: 4 } as const
const { request, ack, dump, create, append } = netlinkFlag

/** NF_INET_ and NF_BR_ numbers, which are the same. */
export const nftHook = { preRouting: 0, forward: 2, postRouting: 4 } as const

export interface NftChain {
  readonly name: string
  /** Undefined where only jumps lead to it; it stands before the chains that have them. */
  readonly base?: {
    readonly type: 'filter' | 'nat'
    readonly hook: (typeof nftHook)[keyof typeof nftHook]
    readonly priority: number
  }
  readonly rules: readonly (readonly Expression[])[]
}

/** A chain as the kernel tells of it. */
export interface KnownChain {
  readonly table: string
  readonly name: string
  /** Undefined where no hook calls it. */
  readonly hook: number | undefined
  readonly drops: boolean
}

/** The messages in one transaction: all of them or none. */
export function transaction(messages: readonly NetlinkMessage[]): NetlinkMessage[] {
  const header = familyHeader(0, nftSubsystem)
  const edge = { flags: request, header, attributes: [], purpose: 'changing the packet filter' }
  return [{ ...edge, type: batch.begin }, ...messages, { ...edge, type: batch.end }]
}

export interface TableContents {
  readonly sets?: readonly NftSet[]
  readonly chains: readonly NftChain[]
}

/** A table as it is described, in place of one of that name with all it has. `mark` is what parseTableMark gives back. */
export function replaceTable(
  { family, name }: NftTable,
  { sets = [], chains }: TableContents,
  mark: Uint8Array,
): NetlinkMessage[] {
  const header = familyHeader(family)
  const flags = request | ack | create
  const purpose = `making the packet filter table ${name}`
  const named: Attribute = [tableAttribute.name, nameBytes(name)]
  const marked: Attribute = [tableAttribute.userData, mark]
  return [
    { type: nftMessage.newTable, flags, header, attributes: [named], purpose },
    { type: nftMessage.deleteTable, flags: request | ack, header, attributes: [named], purpose },
    { type: nftMessage.newTable, flags, header, attributes: [named, marked], purpose },
    ...sets.map((set, index) => setMessage({ family, name }, set, index + 1)),
    ...chains.flatMap(chain => [
      {
        type: nftMessage.newChain,
        flags,
        header,
        attributes: chainAttributes(name, chain),
        purpose: `making the packet filter chain ${chain.name}`,
      },
      ...chain.rules.map(rule => ruleMessage({ family, name }, chain.name, { rule, at: 'end' })),
    ]),
  ]
}

/** ENOENT where there is none. */
export function removeTable({ family, name }: NftTable): NetlinkMessage {
  return {
    type: nftMessage.deleteTable,
    flags: request | ack,
    header: familyHeader(family),
    attributes: [[tableAttribute.name, nameBytes(name)]],
    purpose: `removing the packet filter table ${name}`,
  }
}

function chainAttributes(table: string, { name, base }: NftChain): Attribute[] {
  const named: Attribute[] = [
    [chainAttribute.table, nameBytes(table)],
    [chainAttribute.name, nameBytes(name)],
  ]
  if (base === undefined) return named
  return [
    ...named,
    [
      chainAttribute.hook,
      [
        [hookAttribute.number, u32BigEndian(base.hook)],
        [hookAttribute.priority, u32BigEndian(base.priority)],
      ],
    ],
    [chainAttribute.type, nameBytes(base.type)],
  ]
}

export function ruleMessage(
  { family, name }: { readonly family: NftFamily; readonly name: string },
  chain: string,
  { rule, at }: { readonly rule: readonly Expression[]; readonly at: 'start' | 'end' },
): NetlinkMessage {
  return {
    type: nftMessage.newRule,
    flags: request | ack | create | (at === 'end' ? append : 0),
    header: familyHeader(family),
    attributes: [
      [ruleAttribute.table, nameBytes(name)],
      [ruleAttribute.chain, nameBytes(chain)],
      [ruleAttribute.expressions, rule],
    ],
    purpose: `adding a rule to the packet filter chain ${chain}`,
  }
}

/** One table by its name; ENOENT where there is none. */
export function getTable({ family, name }: NftTable): NetlinkMessage {
  return {
    type: nftMessage.getTable,
    flags: request,
    header: familyHeader(family),
    attributes: [[tableAttribute.name, nameBytes(name)]],
    purpose: `looking for the packet filter table ${name}`,
  }
}

/** The mark of a table; undefined for anything else. */
export function parseTableMark({ type, body }: NetlinkReply): Buffer | undefined {
  if (type !== nftMessage.newTable || body.length < 4) return undefined
  return parseAttributes(body.subarray(4)).get(tableAttribute.userData)
}

/** The rules of a table, or of one of its chains. */
export function listRules({ family, name }: NftTable, chain?: string): NetlinkMessage {
  return {
    type: nftMessage.getRule,
    flags: request | dump,
    header: familyHeader(family),
    attributes: [
      [ruleAttribute.table, nameBytes(name)],
      ...(chain === undefined ? [] : [[ruleAttribute.chain, nameBytes(chain)] as const]),
    ],
    purpose: `listing the rules of the packet filter table ${name}`,
  }
}

/** A rule as the kernel has it. */
export interface KnownRule {
  readonly chain: string
  readonly expressions: Buffer
  /** Eight bytes that stand for it in its table. */
  readonly handle: Buffer
}

/** Undefined for anything but a rule. */
export function parseRule({ type, body }: NetlinkReply): KnownRule | undefined {
  if (type !== nftMessage.newRule || body.length < 4) return undefined
  const attributes = parseAttributes(body.subarray(4))
  return {
    chain: textOf(attributes.get(ruleAttribute.chain)),
    expressions: attributes.get(ruleAttribute.expressions) ?? Buffer.alloc(0),
    handle: attributes.get(ruleAttribute.handle) ?? Buffer.alloc(8),
  }
}

/** Takes one rule away; ENOENT where it is gone. */
export function removeRule(
  { family, name }: NftTable,
  { chain, handle }: Pick<KnownRule, 'chain' | 'handle'>,
): NetlinkMessage {
  return {
    type: nftMessage.deleteRule,
    flags: request | ack,
    header: familyHeader(family),
    attributes: [
      [ruleAttribute.table, nameBytes(name)],
      [ruleAttribute.chain, nameBytes(chain)],
      [ruleAttribute.handle, handle],
    ],
    purpose: `removing a rule of the packet filter chain ${chain}`,
  }
}

/** Every chain of a family. */
export function listChains(family: NftFamily): NetlinkMessage {
  return {
    type: nftMessage.getChain,
    flags: request | dump,
    header: familyHeader(family),
    attributes: [],
    purpose: 'listing the packet filter chains',
  }
}

export function parseChain({ type, body }: NetlinkReply): KnownChain | undefined {
  if (type !== nftMessage.newChain || body.length < 4) return undefined
  const attributes = parseAttributes(body.subarray(4))
  const hook = attributes.get(chainAttribute.hook)
  const policy = attributes.get(chainAttribute.policy)
  return {
    table: textOf(attributes.get(chainAttribute.table)),
    name: textOf(attributes.get(chainAttribute.name)),
    hook: hook && parseAttributes(hook).get(hookAttribute.number)?.readUInt32BE(0),
    drops: policy?.length === 4 && policy.readUInt32BE(0) === 0,
  }
}

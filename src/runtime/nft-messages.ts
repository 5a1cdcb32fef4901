// nf_tables in netlink's words (linux/netfilter/nf_tables.h): tables with chains of rules, and maps. Numbers are big-endian
// here.

import { type Ipv4, toBytes } from './ipv4.ts'
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

const subsystem = 10 << 8
const message = {
  newTable: subsystem | 0,
  getTable: subsystem | 1,
  deleteTable: subsystem | 2,
  newChain: subsystem | 3,
  getChain: subsystem | 4,
  newRule: subsystem | 6,
  getRule: subsystem | 7,
  newSet: subsystem | 9,
  newElement: subsystem | 12,
  deleteElement: subsystem | 14,
} as const
const batch = { begin: 0x10, end: 0x11 } as const

const tableAttribute = { name: 1, userData: 6 } as const
const chainAttribute = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const
const hookAttribute = { number: 1, priority: 2 } as const
const ruleAttribute = { table: 1, chain: 2, expressions: 4 } as const
const listElement = 1
const setAttribute = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  dataType: 6,
  dataLength: 7,
  id: 10,
} as const
const elementListAttribute = { table: 1, set: 2, elements: 3 } as const
const elementAttribute = { key: 1, data: 2, timeout: 4 } as const
const dataValue = 1
/** NFT_SET_MAP | NFT_SET_TIMEOUT */
const mapWithTimeouts = 0x18
/** For `nft list` alone: protocol and port, address and port. */
const shownTypes = { key: (12 << 6) | 13, data: (7 << 6) | 13 } as const
const halfBytes = 4

const { request, ack, dump, create, append } = netlinkFlag

/** NFPROTO_ numbers. */
export const nftFamily = { ip: 2, bridge: 7 } as const
export type NftFamily = (typeof nftFamily)[keyof typeof nftFamily]

/** NF_INET_ and NF_BR_ numbers, which are the same. */
export const nftHook = { preRouting: 0, forward: 2, postRouting: 4 } as const

export interface NftTable {
  readonly family: NftFamily
  readonly name: string
}

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

/** struct nfgenmsg */
function familyHeader(family: number, resource = 0): Uint8Array {
  return Uint8Array.of(family, 0, resource >>> 8, resource)
}

/** The messages in one transaction: all of them or none. */
export function transaction(messages: readonly NetlinkMessage[]): NetlinkMessage[] {
  const header = familyHeader(0, subsystem >>> 8)
  const edge = { flags: request, header, attributes: [], purpose: 'changing the packet filter' }
  return [{ ...edge, type: batch.begin }, ...messages, { ...edge, type: batch.end }]
}

export interface TableContents {
  /** Names of maps from protocol and port to address and port, whose elements expire. */
  readonly maps?: readonly string[]
  readonly chains: readonly NftChain[]
}

/** A table as it is described, in place of one of that name with all it has. `mark` is what parseTableMark gives back. */
export function replaceTable(
  { family, name }: NftTable,
  { maps = [], chains }: TableContents,
  mark: Uint8Array,
): NetlinkMessage[] {
  const header = familyHeader(family)
  const flags = request | ack | create
  const purpose = `making the packet filter table ${name}`
  const named: Attribute = [tableAttribute.name, nameBytes(name)]
  const marked: Attribute = [tableAttribute.userData, mark]
  return [
    { type: message.newTable, flags, header, attributes: [named], purpose },
    { type: message.deleteTable, flags: request | ack, header, attributes: [named], purpose },
    { type: message.newTable, flags, header, attributes: [named, marked], purpose },
    ...maps.map((map, index) => mapMessage({ family, name }, map, index + 1)),
    ...chains.flatMap(chain => [
      {
        type: message.newChain,
        flags,
        header,
        attributes: chainAttributes(name, chain),
        purpose: `making the packet filter chain ${chain.name}`,
      },
      ...chain.rules.map(rule => ruleMessage({ family, name }, chain.name, { rule, at: 'end' })),
    ]),
  ]
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
    type: message.newRule,
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
    type: message.getTable,
    flags: request,
    header: familyHeader(family),
    attributes: [[tableAttribute.name, nameBytes(name)]],
    purpose: `looking for the packet filter table ${name}`,
  }
}

/** The mark of a table; undefined for anything else. */
export function parseTableMark({ type, body }: NetlinkReply): Buffer | undefined {
  if (type !== message.newTable || body.length < 4) return undefined
  return parseAttributes(body.subarray(4)).get(tableAttribute.userData)
}

/** The rules of a table, or of one of its chains. */
export function listRules({ family, name }: NftTable, chain?: string): NetlinkMessage {
  return {
    type: message.getRule,
    flags: request | dump,
    header: familyHeader(family),
    attributes: [
      [ruleAttribute.table, nameBytes(name)],
      ...(chain === undefined ? [] : [[ruleAttribute.chain, nameBytes(chain)] as const]),
    ],
    purpose: `listing the rules of the packet filter table ${name}`,
  }
}

/** The chain and the expressions of a rule, as the kernel has them; undefined for anything else. */
export function parseRule({
  type,
  body,
}: NetlinkReply): { readonly chain: string; readonly expressions: Buffer } | undefined {
  if (type !== message.newRule || body.length < 4) return undefined
  const attributes = parseAttributes(body.subarray(4))
  return {
    chain: textOf(attributes.get(ruleAttribute.chain)),
    expressions: attributes.get(ruleAttribute.expressions) ?? Buffer.alloc(0),
  }
}

/** Every chain of a family. */
export function listChains(family: NftFamily): NetlinkMessage {
  return {
    type: message.getChain,
    flags: request | dump,
    header: familyHeader(family),
    attributes: [],
    purpose: 'listing the packet filter chains',
  }
}

export function parseChain({ type, body }: NetlinkReply): KnownChain | undefined {
  if (type !== message.newChain || body.length < 4) return undefined
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

/** `id` tells maps of one transaction apart. */
function mapMessage({ family, name }: NftTable, map: string, id: number): NetlinkMessage {
  return {
    type: message.newSet,
    flags: request | ack | create,
    header: familyHeader(family),
    attributes: [
      [setAttribute.table, nameBytes(name)],
      [setAttribute.name, nameBytes(map)],
      [setAttribute.flags, u32BigEndian(mapWithTimeouts)],
      [setAttribute.keyType, u32BigEndian(shownTypes.key)],
      [setAttribute.keyLength, u32BigEndian(2 * halfBytes)],
      [setAttribute.dataType, u32BigEndian(shownTypes.data)],
      [setAttribute.dataLength, u32BigEndian(2 * halfBytes)],
      [setAttribute.id, u32BigEndian(id)],
    ],
    purpose: `making the packet filter map ${map}`,
  }
}

/** An element of such a map. */
export interface MapElement {
  /** IPPROTO_ number. */
  readonly protocol: number
  readonly port: number
  readonly toAddress: Ipv4
  readonly toPort: number
}

/** Adds elements that go by themselves after a while, or removes them. */
export function changeMap(
  { family, name }: NftTable,
  map: string,
  change:
    | { readonly add: readonly MapElement[]; readonly timeoutMs: number }
    | { readonly remove: readonly MapElement[] },
): NetlinkMessage {
  const isAdding = 'add' in change
  const elements = isAdding ? change.add : change.remove
  return {
    type: isAdding ? message.newElement : message.deleteElement,
    flags: request | ack | (isAdding ? create : 0),
    header: familyHeader(family),
    attributes: [
      [elementListAttribute.table, nameBytes(name)],
      [elementListAttribute.set, nameBytes(map)],
      [
        elementListAttribute.elements,
        elements.map(element => [
          listElement,
          isAdding ? addedElement(element, change.timeoutMs) : [keyOf(element)],
        ]),
      ],
    ],
    purpose: `changing the packet filter map ${map}`,
  }
}

function keyOf({ protocol, port }: MapElement): Attribute {
  const key = Uint8Array.of(protocol, 0, 0, 0, port >>> 8, port, 0, 0)
  return [elementAttribute.key, [[dataValue, key]]]
}

function addedElement(element: MapElement, timeoutMs: number): Attribute[] {
  const { toAddress, toPort } = element
  const data = Uint8Array.of(...toBytes(toAddress), toPort >>> 8, toPort, 0, 0)
  const timeout = Buffer.alloc(8)
  timeout.writeBigUInt64BE(BigInt(timeoutMs))
  return [
    keyOf(element),
    [elementAttribute.data, [[dataValue, data]]],
    [elementAttribute.timeout, timeout],
  ]
}

// nf_tables in netlink's words (linux/netfilter/nf_tables.h): tables, chains, and rules made of expressions. Attributes
// are big-endian here; what a rule loads from packets is in the byte order of the network, what it loads about them in
// the machine's.

import {
  type Attribute,
  encodeAttributes,
  listAttributes,
  type NetlinkMessage,
  type NetlinkReply,
  nameBytes,
  netlinkFlag,
  parseAttributes,
  textOf,
  u32BigEndian,
} from './netlink.ts'

const subsystem = 10 << 8
const message = {
  newTable: subsystem | 0,
  getTable: subsystem | 1,
  deleteTable: subsystem | 2,
  newChain: subsystem | 3,
  getChain: subsystem | 4,
  newRule: subsystem | 6,
  getRule: subsystem | 7,
} as const
const batch = { begin: 0x10, end: 0x11 } as const

const tableAttribute = { name: 1, userData: 6 } as const
const chainAttribute = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const
const hookAttribute = { number: 1, priority: 2 } as const
const ruleAttribute = { table: 1, chain: 2, expressions: 4 } as const
const listElement = 1
const expressionAttribute = { name: 1, data: 2 } as const

const { request, ack, dump, create, append } = netlinkFlag

/** NFPROTO_ numbers. */
export const nftFamily = { ip: 2, bridge: 7 } as const
export type NftFamily = (typeof nftFamily)[keyof typeof nftFamily]

/** NF_INET_ and NF_BR_ numbers, which are the same. */
export const nftHook = { preRouting: 0, forward: 2, postRouting: 4 } as const

/** One expression of a rule; all must hold, from left to right, for the last to act. */
export type Expression = Attribute

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

/** A table as it is described, in place of one of that name with all it has. `mark` is what knownTable gives back. */
export function replaceTable(
  { family, name }: NftTable,
  chains: readonly NftChain[],
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

const register = 1
const metaKey = { inName: 6, outName: 7 } as const
const comparison = { equal: 0, unequal: 1 } as const
const verdict = { drop: 0, accept: 1 } as const
const jump = -3
/** Bits of a connection's state, in the machine's byte order. */
const connectionState = { established: 2, related: 4 } as const

function expression(name: string, data: readonly Attribute[]): Expression {
  return [
    listElement,
    [
      [expressionAttribute.name, nameBytes(name)],
      [expressionAttribute.data, data],
    ],
  ]
}

/** A value in a register, compared with bytes. */
function compare(operator: number, bytes: Uint8Array): Expression {
  return expression('cmp', [
    [1, u32BigEndian(register)],
    [2, u32BigEndian(operator)],
    [3, [[1, bytes]]],
  ])
}

function keep(mask: Uint8Array): Expression {
  return expression('bitwise', [
    [1, u32BigEndian(register)],
    [2, u32BigEndian(register)],
    [3, u32BigEndian(mask.length)],
    [4, [[1, mask]]],
    [5, [[1, new Uint8Array(mask.length)]]],
  ])
}

/** The packet came in by the interface of that name, or leaves by it; a `*` at its end stands for any rest. */
export function interfaceIs(
  direction: 'in' | 'out',
  name: string,
  is: 'equal' | 'unequal' = 'equal',
): Expression[] {
  const key = direction === 'in' ? metaKey.inName : metaKey.outName
  const bytes = name.endsWith('*') ? Buffer.from(name.slice(0, -1)) : nameBytes(name)
  return [
    expression('meta', [
      [1, u32BigEndian(register)],
      [2, u32BigEndian(key)],
    ]),
    compare(comparison[is], bytes),
  ]
}

const payloadBase = { link: 0, network: 1 } as const

/** Bytes of the packet, after the mask, are those. */
export function payloadIs(
  at: { readonly base: keyof typeof payloadBase; readonly offset: number },
  bytes: Uint8Array,
  { mask, is = 'equal' }: { readonly mask?: Uint8Array; readonly is?: 'equal' | 'unequal' } = {},
): Expression[] {
  const load = expression('payload', [
    [1, u32BigEndian(register)],
    [2, u32BigEndian(payloadBase[at.base])],
    [3, u32BigEndian(at.offset)],
    [4, u32BigEndian(bytes.length)],
  ])
  return [load, ...(mask === undefined ? [] : [keep(mask)]), compare(comparison[is], bytes)]
}

/** The packet belongs to a connection that was allowed when it began, or answers one. */
export function isAnswer(): Expression[] {
  const mask = Buffer.alloc(4)
  mask.writeUInt32LE(connectionState.established | connectionState.related)
  return [
    expression('ct', [
      [1, u32BigEndian(register)],
      [2, u32BigEndian(0)],
    ]),
    keep(mask),
    compare(comparison.unequal, Buffer.alloc(4)),
  ]
}

/** What iptables puts into each of its rules, and looks for when it lists them. */
export function counter(): Expression {
  return expression('counter', [])
}

export function decide(what: keyof typeof verdict): Expression {
  return setVerdict([[1, u32BigEndian(verdict[what])]])
}

/** Goes on with the rules of another chain of the table, and then behind this one. */
export function jumpTo(chain: string): Expression {
  return setVerdict([
    [1, u32BigEndian(jump)],
    [2, nameBytes(chain)],
  ])
}

function setVerdict(verdictAttributes: readonly Attribute[]): Expression {
  return expression('immediate', [
    [1, u32BigEndian(0)],
    [2, [[2, verdictAttributes]]],
  ])
}

/** The packet gets the address of the interface that it leaves by. */
export function masquerade(): Expression {
  return expression('masq', [])
}

/** A rule in words, the same for rules that say the same, without what they counted. */
export function ruleText(rule: readonly Expression[] | Buffer): string {
  const elements = listAttributes(Buffer.isBuffer(rule) ? rule : encodeAttributes(rule))
  return elements.map(([, element]) => expressionText(parseAttributes(element))).join('')
}

function expressionText(element: ReadonlyMap<number, Buffer>): string {
  const name = textOf(element.get(expressionAttribute.name))
  const data = element.get(expressionAttribute.data) ?? Buffer.alloc(0)
  const attributes = listAttributes(data).toSorted(([a], [b]) => a - b)
  if (name === 'counter') return ''
  return `${name}(${attributes.map(([type, value]) => `${type}=${valueText(value)}`).join(' ')}) `
}

/** The kernel marks nested attributes as such, or not, as it likes. */
function valueText(value: Buffer): string {
  const nested = listAttributes(value)
  return nested.length === 0
    ? value.toString('hex')
    : nested.map(([type, inner]) => `${type}:${valueText(inner)}`).join(',')
}

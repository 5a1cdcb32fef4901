// What rules of nf_tables are made of (linux/netfilter/nf_tables.h): expressions that load something of a packet into a
// register, compare it, and act. What is loaded from packets is in the byte order of the network, what is loaded about them in
// the machine's; numbers of the expressions themselves are big-endian.

import {
  type Attribute,
  encodeAttributes,
  listAttributes,
  nameBytes,
  parseAttributes,
  textOf,
  u32BigEndian,
} from './netlink.ts'

/** One expression of a rule; all must hold, from left to right, for the last to act. */
export type Expression = Attribute

const listElement = 1
const expressionAttribute = { name: 1, data: 2 } as const

const register = 1
const metaKey = { inName: 6, outName: 7, protocol: 16 } as const
const payloadBase = { link: 0, network: 1, transport: 2 } as const
const comparison = { equal: 0, unequal: 1 } as const
const verdict = { drop: 0, accept: 1 } as const
const jump = -3
const connectionKey = { state: 0, status: 2 } as const
/** Bits of a connection's state and status, in the machine's byte order. */
const connectionBits = { established: 2, related: 4, destinationChanged: 0x20 } as const
/** NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR, RTN_LOCAL */
const addressType = { result: 3, ofDestination: 2, local: 2 } as const
const translation = { destination: 1, ip: 2 } as const
/** Four bytes each, one behind the other: keys and values of maps that are put together of two. */
const firstHalf = 8
const secondHalf = 9
/** Behind six bytes, which take up eight. */
const behindHardware = 10
/** NFT_LOOKUP_F_INV */
const notThere = 1

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

/** Where something is in a packet. */
export interface PayloadField {
  readonly base: 'link' | 'network'
  readonly offset: number
}

/** Bytes of the packet, after the mask, are those. */
export function payloadIs(
  at: PayloadField,
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
  return connectionHas(connectionKey.state, connectionBits.established | connectionBits.related)
}

/** The connection was for another address when it began. */
export function isTranslated(): Expression[] {
  return connectionHas(connectionKey.status, connectionBits.destinationChanged)
}

function connectionHas(key: number, bits: number): Expression[] {
  const mask = Buffer.alloc(4)
  mask.writeUInt32LE(bits)
  return [
    expression('ct', [
      [1, u32BigEndian(register)],
      [2, u32BigEndian(key)],
    ]),
    keep(mask),
    compare(comparison.unequal, Buffer.alloc(4)),
  ]
}

/** The packet is for an address of the host's own. */
export function isForHost(): Expression[] {
  const local = Buffer.alloc(4)
  local.writeUInt32LE(addressType.local)
  return [
    expression('fib', [
      [1, u32BigEndian(register)],
      [2, u32BigEndian(addressType.result)],
      [3, u32BigEndian(addressType.ofDestination)],
    ]),
    compare(comparison.equal, local),
  ]
}

/**
 * The packet gets another destination: what the map has for its protocol and destination port, an address and a port. One
 * that the map does not have goes on as it is.
 */
export function translateDestination(map: string): Expression[] {
  return [
    expression('meta', [
      [1, u32BigEndian(firstHalf)],
      [2, u32BigEndian(metaKey.protocol)],
    ]),
    expression('payload', [
      [1, u32BigEndian(secondHalf)],
      [2, u32BigEndian(payloadBase.transport)],
      [3, u32BigEndian(2)],
      [4, u32BigEndian(2)],
    ]),
    expression('lookup', [
      [1, nameBytes(map)],
      [2, u32BigEndian(firstHalf)],
      [3, u32BigEndian(firstHalf)],
    ]),
    expression('nat', [
      [1, u32BigEndian(translation.destination)],
      [2, u32BigEndian(translation.ip)],
      [3, u32BigEndian(firstHalf)],
      [5, u32BigEndian(secondHalf)],
    ]),
  ]
}

/** Six bytes of the packet with four others of it are in none of the sets. */
export function pairIsUnknown(
  sets: readonly string[],
  hardware: PayloadField,
  address: PayloadField,
): Expression[] {
  const load = (field: PayloadField, length: number, into: number): Expression =>
    expression('payload', [
      [1, u32BigEndian(into)],
      [2, u32BigEndian(payloadBase[field.base])],
      [3, u32BigEndian(field.offset)],
      [4, u32BigEndian(length)],
    ])
  return [
    load(hardware, 6, firstHalf),
    load(address, 4, behindHardware),
    ...sets.map(set =>
      expression('lookup', [
        [1, nameBytes(set)],
        [2, u32BigEndian(firstHalf)],
        [5, u32BigEndian(notThere)],
      ]),
    ),
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

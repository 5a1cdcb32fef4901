// Sets and maps of nf_tables, whose keys and values are put together of fields of whole four bytes.

import { fromBytes, type Ipv4, toBytes } from './ipv4.ts'
import {
  type Attribute,
  listAttributes,
  type NetlinkMessage,
  type NetlinkReply,
  nameBytes,
  netlinkFlag,
  parseAttributes,
  u32BigEndian,
} from './netlink.ts'
import { familyHeader, type NftTable, nftMessage } from './nft-header.ts'

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
const listElement = 1
const dataValue = 1

const { request, ack, dump, create } = netlinkFlag

/** NFT_SET_ bits. */
const setFlag = { map: 0x08, timeout: 0x10 } as const

/** For `nft list` alone: of two fields the first in the upper bits. */
const shown = { address: 7, hardware: 9, protocol: 12, port: 13 } as const

/** A set of nothing yet. */
export interface NftSet {
  readonly name: string
  /** `published`: a map from protocol and port to address and port, whose elements expire; `pairs`: hardware addresses with addresses. */
  readonly kind: 'published' | 'pairs'
}

/** `id` tells the sets of one transaction apart. */
export function setMessage(
  { family, name: table }: NftTable,
  { name, kind }: NftSet,
  id: number,
): NetlinkMessage {
  const common: Attribute[] = [
    [setAttribute.table, nameBytes(table)],
    [setAttribute.name, nameBytes(name)],
    [setAttribute.id, u32BigEndian(id)],
  ]
  return {
    type: nftMessage.newSet,
    flags: request | ack | create,
    header: familyHeader(family),
    attributes: [...common, ...(kind === 'pairs' ? pairForm : publishedForm)],
    purpose: `making the packet filter set ${name}`,
  }
}

const pairForm: readonly Attribute[] = [
  [setAttribute.flags, u32BigEndian(0)],
  [setAttribute.keyType, u32BigEndian((shown.hardware << 6) | shown.address)],
  [setAttribute.keyLength, u32BigEndian(12)],
]

const publishedForm: readonly Attribute[] = [
  [setAttribute.flags, u32BigEndian(setFlag.map | setFlag.timeout)],
  [setAttribute.keyType, u32BigEndian((shown.protocol << 6) | shown.port)],
  [setAttribute.keyLength, u32BigEndian(8)],
  [setAttribute.dataType, u32BigEndian((shown.address << 6) | shown.port)],
  [setAttribute.dataLength, u32BigEndian(8)],
]

/** An element of a map of the kind `published`. */
export interface PublishedElement {
  /** IPPROTO_ number. */
  readonly protocol: number
  readonly port: number
  readonly toAddress: Ipv4
  readonly toPort: number
}

/** Adds elements that go by themselves after a while. */
export function addPublished(
  table: NftTable,
  set: string,
  {
    elements,
    timeoutMs,
  }: { readonly elements: readonly PublishedElement[]; readonly timeoutMs: number },
): NetlinkMessage {
  const timeout = Buffer.alloc(8)
  timeout.writeBigUInt64BE(BigInt(timeoutMs))
  const added = elements.map((element): Attribute[] => {
    const { toAddress, toPort } = element
    const data = Uint8Array.of(...toBytes(toAddress), toPort >>> 8, toPort, 0, 0)
    return [
      publishedKey(element),
      [elementAttribute.data, [[dataValue, data]]],
      [elementAttribute.timeout, timeout],
    ]
  })
  return elementsMessage(nftMessage.newElement, { table, set }, added)
}

export function removePublished(
  table: NftTable,
  set: string,
  elements: readonly PublishedElement[],
): NetlinkMessage {
  const keys = elements.map((element): Attribute[] => [publishedKey(element)])
  return elementsMessage(nftMessage.deleteElement, { table, set }, keys)
}

function publishedKey({ protocol, port }: PublishedElement): Attribute {
  return keyAttribute(Uint8Array.of(protocol, 0, 0, 0, port >>> 8, port, 0, 0))
}

/** A hardware address and the address that it may speak for. */
export interface AddressPair {
  readonly hardwareAddress: Uint8Array
  readonly address: Ipv4
}

/** One message holds no more: the length of an attribute has 16 bits. */
const pairsInMessage = 2000

/** Adds pairs to a set of the kind `pairs`. */
export function addPairs(
  table: NftTable,
  set: string,
  pairs: readonly AddressPair[],
): NetlinkMessage[] {
  const messages: NetlinkMessage[] = []
  for (let at = 0; at < pairs.length; at += pairsInMessage) {
    const added = pairs.slice(at, at + pairsInMessage).map((pair): Attribute[] => [pairKey(pair)])
    messages.push(elementsMessage(nftMessage.newElement, { table, set }, added))
  }
  return messages
}

export function removePairs(
  table: NftTable,
  set: string,
  pairs: readonly AddressPair[],
): NetlinkMessage {
  const keys = pairs.map((pair): Attribute[] => [pairKey(pair)])
  return elementsMessage(nftMessage.deleteElement, { table, set }, keys)
}

/** Every pair of a set. */
export function listPairs({ family, name }: NftTable, set: string): NetlinkMessage {
  return {
    type: nftMessage.getElement,
    flags: request | dump,
    header: familyHeader(family),
    attributes: [
      [elementListAttribute.table, nameBytes(name)],
      [elementListAttribute.set, nameBytes(set)],
    ],
    purpose: `listing the packet filter set ${set}`,
  }
}

export function parsePairs({ type, body }: NetlinkReply): readonly AddressPair[] {
  if (type !== nftMessage.newElement || body.length < 4) return []
  const elements = parseAttributes(body.subarray(4)).get(elementListAttribute.elements)
  return listAttributes(elements ?? Buffer.alloc(0)).flatMap(([, element]) => {
    const key = parseAttributes(element).get(elementAttribute.key)
    const bytes = key && parseAttributes(key).get(dataValue)
    if (bytes?.length !== 12) return []
    return [{ hardwareAddress: bytes.subarray(0, 6), address: fromBytes(bytes.subarray(8)) }]
  })
}

function pairKey({ hardwareAddress, address }: AddressPair): Attribute {
  return keyAttribute(Uint8Array.of(...hardwareAddress, 0, 0, ...toBytes(address)))
}

function keyAttribute(bytes: Uint8Array): Attribute {
  return [elementAttribute.key, [[dataValue, bytes]]]
}

function elementsMessage(
  type: number,
  { table, set }: { readonly table: NftTable; readonly set: string },
  elements: readonly (readonly Attribute[])[],
): NetlinkMessage {
  return {
    type,
    flags: request | ack | (type === nftMessage.newElement ? create : 0),
    header: familyHeader(table.family),
    attributes: [
      [elementListAttribute.table, nameBytes(table.name)],
      [elementListAttribute.set, nameBytes(set)],
      [elementListAttribute.elements, elements.map(element => [listElement, element] as const)],
    ],
    purpose: `changing the packet filter set ${set}`,
  }
}

// Network interfaces, addresses and routes in rtnetlink's words (linux/rtnetlink.h, linux/if_link.h).

import { fromBytes, type Ipv4, type Ipv4Block, maskOf, toBytes } from './ipv4.ts'
import {
  type Attribute,
  encodeAttributes,
  type NetlinkMessage,
  type NetlinkReply,
  nameBytes,
  netlinkFlag,
  parseAttributes,
  textOf,
  u8,
  u32,
} from './netlink.ts'

const message = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
  getRoute: 26,
  newNeighbour: 28,
} as const

const linkAttribute = {
  address: 1,
  name: 3,
  mtu: 4,
  master: 10,
  linkInfo: 18,
  namespacePid: 19,
} as const
const infoAttribute = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const
const vethPeer = 1
const portAttribute = { learning: 8, unknownUnicast: 9, isolated: 33, locked: 39 } as const
/** NDA_LLADDR, NUD_NOARP, NTF_MASTER */
const neighbour = { hardwareAddress: 2, unchanging: 0x40, ofMaster: 0x04 } as const
const addressAttribute = { address: 1, local: 2, broadcast: 4 } as const
const routeAttribute = { destination: 1, outInterface: 4, gateway: 5 } as const

const familyInet = 2
const familyBridge = 7
const interfaceUp = 1
const mainTable = 254
const bootProtocol = 3
const unicast = 1

const { request, ack, dump, create, excl, replace } = netlinkFlag
const make = request | ack | create | excl

/** An interface as the kernel tells of it. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly isUp: boolean
  readonly mtu: number
  /** `bridge`, `veth`…; empty for hardware. */
  readonly kind: string
}

/** An address of an interface. */
export interface LinkAddress {
  readonly index: number
  readonly address: Ipv4
  readonly prefixLength: number
}

export interface Route {
  readonly destination: Ipv4Block
  /** Index of the interface that packets leave by; 0 where there are several, or none. */
  readonly outInterface: number
}

/** struct ifinfomsg */
function linkHeader(index: number, isUp: boolean): Uint8Array {
  const header = Buffer.alloc(16)
  header.writeInt32LE(index, 4)
  if (isUp) {
    header.writeUInt32LE(interfaceUp, 8)
    header.writeUInt32LE(interfaceUp, 12)
  }
  return header
}

/** One interface by its name or index; ENODEV where there is none. */
export function getLink(which: string | number): NetlinkMessage {
  return {
    type: message.getLink,
    flags: request,
    header: linkHeader(typeof which === 'number' ? which : 0, false),
    attributes: typeof which === 'number' ? [] : [[linkAttribute.name, nameBytes(which)]],
    purpose: `looking for the interface ${which}`,
  }
}

export function listLinks(): NetlinkMessage {
  const header = linkHeader(0, false)
  const purpose = 'listing interfaces'
  return { type: message.getLink, flags: request | dump, header, attributes: [], purpose }
}

/** Undefined for anything but an interface. */
export function parseLink({ type, body }: NetlinkReply): Link | undefined {
  if (type !== message.newLink || body.length < 16) return undefined
  const attributes = parseAttributes(body.subarray(16))
  const info = attributes.get(linkAttribute.linkInfo)
  return {
    index: body.readInt32LE(4),
    isUp: (body.readUInt32LE(8) & interfaceUp) !== 0,
    name: textOf(attributes.get(linkAttribute.name)),
    mtu: attributes.get(linkAttribute.mtu)?.readUInt32LE(0) ?? 0,
    kind: info === undefined ? '' : textOf(parseAttributes(info).get(infoAttribute.kind)),
  }
}

/** A bridge that is down; with an address of its own it does not take that of whichever port came first. */
export function makeBridge(name: string, hardwareAddress: Uint8Array): NetlinkMessage {
  return {
    type: message.newLink,
    flags: make,
    header: linkHeader(0, false),
    attributes: [
      [linkAttribute.name, nameBytes(name)],
      [linkAttribute.address, hardwareAddress],
      [linkAttribute.linkInfo, [[infoAttribute.kind, nameBytes('bridge')]]],
    ],
    purpose: `making the bridge ${name}`,
  }
}

export function bringUp(index: number): NetlinkMessage {
  return {
    type: message.newLink,
    flags: request | ack,
    header: linkHeader(index, true),
    attributes: [],
    purpose: `bringing the interface ${index} up`,
  }
}

/** Removes an interface, and with one end of a pair the other; ENODEV where there is none. */
export function removeLink(index: number): NetlinkMessage {
  return {
    type: message.deleteLink,
    flags: request | ack,
    header: linkHeader(index, false),
    attributes: [],
    purpose: `removing the interface ${index}`,
  }
}

export interface VethPair {
  /** Of the end that goes to the container. */
  readonly inner: {
    readonly name: string
    /** Chosen by the caller, so that what follows can name it; free in a new namespace. */
    readonly index: number
    readonly hardwareAddress: Uint8Array
  }
  /** The end that stays, a port of the bridge; its index is free on the host. */
  readonly port: { readonly name: string; readonly index: number }
  /** Index of the bridge. */
  readonly bridge: number
  readonly mtu: number
  /** The port reaches the bridge itself and no other isolated port. */
  readonly isolated: boolean
  /** A process in the namespace that the inner one goes to, as the sender knows it; 1 where it is left out. */
  readonly namespacePid?: number
}

/**
 * A pair of interfaces, both up. The inner one goes to the network namespace of a process: of the sender's process 1, which
 * is the sender itself where it is the first process of a pid namespace; the other to the namespace of the sender's socket.
 */
export function makeVethPair(asked: VethPair): NetlinkMessage[] {
  const { inner, port, bridge, mtu, isolated, namespacePid = 1 } = asked
  const size: Attribute = [linkAttribute.mtu, u32(mtu)]
  const peer = [
    linkHeader(port.index, false),
    encodeAttributes([[linkAttribute.name, nameBytes(port.name)], size]),
  ]
  const pair: NetlinkMessage = {
    type: message.newLink,
    flags: make,
    header: linkHeader(inner.index, true),
    attributes: [
      [linkAttribute.name, nameBytes(inner.name)],
      [linkAttribute.address, inner.hardwareAddress],
      [linkAttribute.namespacePid, u32(namespacePid)],
      size,
      [
        linkAttribute.linkInfo,
        [
          [infoAttribute.kind, nameBytes('veth')],
          [infoAttribute.data, [[vethPeer, Buffer.concat(peer)]]],
        ],
      ],
    ],
    purpose: `making the interfaces ${inner.name} and ${port.name}`,
  }
  return [
    pair,
    addPort(port, bridge),
    bindAddress(port, inner.hardwareAddress),
    guardPort(port, isolated),
  ]
}

/** Makes an interface a port of a bridge, and brings it up. */
function addPort({ name, index }: VethPair['port'], bridge: number): NetlinkMessage {
  return {
    type: message.newLink,
    flags: request | ack,
    header: linkHeader(index, true),
    attributes: [[linkAttribute.master, u32(bridge)]],
    purpose: `adding the interface ${name} to the bridge`,
  }
}

/** The bridge knows where the hardware address is, and goes on knowing it. */
function bindAddress({ name, index }: VethPair['port'], address: Uint8Array): NetlinkMessage {
  const header = Buffer.alloc(12)
  header.writeUInt8(familyBridge, 0)
  header.writeInt32LE(index, 4)
  header.writeUInt16LE(neighbour.unchanging, 8)
  header.writeUInt8(neighbour.ofMaster, 10)
  return {
    type: message.newNeighbour,
    flags: request | ack | create | replace,
    header,
    attributes: [[neighbour.hardwareAddress, address]],
    purpose: `binding an address to the interface ${name}`,
  }
}

/** No other hardware address is learnt of the port, nor, from Linux 5.18 on, let in by it. */
function guardPort({ name, index }: VethPair['port'], isolated: boolean): NetlinkMessage {
  const settings: Attribute[] = [
    [portAttribute.learning, u8(0)],
    [portAttribute.unknownUnicast, u8(0)],
    [portAttribute.isolated, u8(isolated ? 1 : 0)],
    [portAttribute.locked, u8(1)],
  ]
  return {
    type: message.newLink,
    flags: request | ack,
    header: linkHeader(index, false),
    attributes: [
      [
        linkAttribute.linkInfo,
        [
          [infoAttribute.slaveKind, nameBytes('bridge')],
          [infoAttribute.slaveData, settings],
        ],
      ],
    ],
    purpose: `guarding the interface ${name}`,
  }
}

/** Gives an interface an address with its block's broadcast address. */
export function addAddress({ index, address, prefixLength }: LinkAddress): NetlinkMessage {
  const header = Buffer.alloc(8)
  header.writeUInt8(familyInet, 0)
  header.writeUInt8(prefixLength, 1)
  header.writeUInt32LE(index, 4)
  const broadcast = (address | ~maskOf(prefixLength)) >>> 0
  return {
    type: message.newAddress,
    flags: make,
    header,
    attributes: [
      [addressAttribute.local, toBytes(address)],
      [addressAttribute.address, toBytes(address)],
      [addressAttribute.broadcast, toBytes(broadcast)],
    ],
    purpose: 'adding an address',
  }
}

/** The IPv4 addresses of every interface. */
export function listAddresses(): NetlinkMessage {
  const header = Buffer.alloc(8)
  header.writeUInt8(familyInet, 0)
  const purpose = 'listing addresses'
  return { type: message.getAddress, flags: request | dump, header, attributes: [], purpose }
}

/** Undefined for anything but an IPv4 address. */
export function parseAddress({ type, body }: NetlinkReply): LinkAddress | undefined {
  if (type !== message.newAddress || body.length < 8 || body[0] !== familyInet) return undefined
  const local = parseAttributes(body.subarray(8)).get(addressAttribute.local)
  if (local?.length !== 4) return undefined
  return {
    index: body.readUInt32LE(4),
    address: fromBytes(local),
    prefixLength: body.readUInt8(1),
  }
}

/** struct rtmsg */
function routeHeader(destinationLength: number): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt8(familyInet, 0)
  header.writeUInt8(destinationLength, 1)
  return header
}

/** Everything that has no route of its own goes to the gateway. */
export function addDefaultRoute(index: number, gateway: Ipv4): NetlinkMessage {
  const header = routeHeader(0)
  header.writeUInt8(mainTable, 4)
  header.writeUInt8(bootProtocol, 5)
  header.writeUInt8(unicast, 7)
  return {
    type: message.newRoute,
    flags: make,
    header,
    attributes: [
      [routeAttribute.gateway, toBytes(gateway)],
      [routeAttribute.outInterface, u32(index)],
    ],
    purpose: 'adding the default route',
  }
}

/** The IPv4 routes of all tables. */
export function listRoutes(): NetlinkMessage {
  const purpose = 'listing routes'
  const header = routeHeader(0)
  return { type: message.getRoute, flags: request | dump, header, attributes: [], purpose }
}

/** The route that a packet would take; ENETUNREACH and its like where there is none. */
export function findRoute(destination: Ipv4): NetlinkMessage {
  return {
    type: message.getRoute,
    flags: request,
    header: routeHeader(32),
    attributes: [[routeAttribute.destination, toBytes(destination)]],
    purpose: 'looking for a route',
  }
}

/** Undefined for anything but an IPv4 route. */
export function parseRoute({ type, body }: NetlinkReply): Route | undefined {
  if (type !== message.newRoute || body.length < 12 || body[0] !== familyInet) return undefined
  const attributes = parseAttributes(body.subarray(12))
  const destination = attributes.get(routeAttribute.destination)
  return {
    destination: {
      address: destination?.length === 4 ? fromBytes(destination) : 0,
      prefixLength: body.readUInt8(1),
    },
    outInterface: attributes.get(routeAttribute.outInterface)?.readInt32LE(0) ?? 0,
  }
}

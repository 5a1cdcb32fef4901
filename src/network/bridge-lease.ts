// A container's place on a bridge: an address, and the messages that make its interface. An address is leased while one
// byte of a file is locked, which the kernel undoes when the holder ends; the interface is named by its address, so an
// address whose last container is still being taken down is not given away either.

import { closeSync, constants, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { NetworkSetup } from '../runtime/runtime.ts'
import { asUnavailable, type Bridge, type BridgeOptions, linkExists, openBridge } from './bridge.ts'
import { type BridgeUse, blockFor, hardwareAddressOf, portIndex, portName } from './bridge-ports.ts'
import { type BridgeSpec, defaultBridge } from './bridge-spec.ts'
import { formatIpv4, type Ipv4, type Ipv4Block, within } from './ipv4.ts'
import { addAddress, addDefaultRoute, makeVethPair } from './link-messages.ts'
import { encodeMessages, type NetlinkMessage } from './netlink.ts'

export interface LeaseOptions extends BridgeOptions {
  readonly use: BridgeUse
  /** This one and no other. */
  readonly address?: Ipv4 | undefined
  /** Six bytes; undefined: one that goes with the address. */
  readonly hardwareAddress?: Uint8Array | undefined
}

/** An address on a bridge; it is this process's until it is disposed of, or the process ends. Idempotent. */
export interface AddressLease extends Disposable {
  readonly address: string
  readonly prefixLength: number
  /** Undefined where the network leads nowhere. */
  readonly gateway: string | undefined
  /** The host's address on the bridge. */
  readonly host: string
  readonly hardwareAddress: string
  /** Name of the interface on the host. */
  readonly port: string
  /** The lease is whoever's who has this descriptor. */
  readonly fd: number
  /** What makes the interface, `eth0` for 0, in the network namespace of a process. */
  readonly outside: (number: number, namespacePid?: number) => readonly NetlinkMessage[]
  /** What gives it its address there, and makes it the way out. */
  readonly inside: (number: number, isWayOut: boolean) => readonly NetlinkMessage[]
}

/** A place on the default bridge for what a build runs. */
export interface BridgeLease extends NetworkSetup, Disposable {
  readonly address: string
  readonly gateway: string
}

/** Leases an address of the default bridge, which is made where it is missing. @throws NETWORK_UNAVAILABLE */
export async function leaseBridgeAddress(options: LeaseOptions): Promise<BridgeLease> {
  const lease = await leaseAddress(defaultBridge(), options)
  return {
    address: lease.address,
    gateway: lease.host,
    outside: encodeMessages(lease.outside(0)),
    inside: encodeMessages(lease.inside(0, true)),
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  }
}

/** Leases an address of a bridge, which is made where it is missing. @throws NETWORK_UNAVAILABLE, USAGE */
export async function leaseAddress(spec: BridgeSpec, options: LeaseOptions): Promise<AddressLease> {
  try {
    const bridge = await openBridge(spec, options)
    const held = lockAddress(spec, bridge, options)
    await passAskedPair(spec, bridge, { ...options, address: held.address })
    return leaseOn(spec, bridge, { held, ...options })
  } catch (error) {
    throw asUnavailable(error, options)
  }
}

function leaseOn(
  spec: BridgeSpec,
  bridge: Bridge,
  { held, use, hardwareAddress }: LeaseOptions & { readonly held: HeldAddress },
): AddressLease {
  const { block, gateway, mtu } = bridge
  const { address, fd } = held
  const hardware = hardwareAddress ?? hardwareAddressOf(address)
  const name = portName(spec.ports, { address, block, use })
  return {
    address: formatIpv4(address),
    prefixLength: block.prefixLength,
    gateway: spec.isInternal ? undefined : formatIpv4(gateway),
    host: formatIpv4(gateway),
    hardwareAddress: [...hardware].map(byte => byte.toString(16).padStart(2, '0')).join(':'),
    port: name,
    fd,
    outside: (number, namespacePid) =>
      makeVethPair({
        inner: { ...innerLink(number), hardwareAddress: hardware },
        port: { name, index: portIndex(spec.firstIndex, address, block) },
        bridge: bridge.index,
        mtu,
        isolated: use === 'build' || spec.separates,
        ...(namespacePid === undefined ? {} : { namespacePid }),
      }),
    inside: (number, isWayOut) => {
      const { index } = innerLink(number)
      const own = addAddress({ index, address, prefixLength: block.prefixLength })
      return isWayOut && !spec.isInternal ? [own, addDefaultRoute(index, gateway)] : [own]
    },
    [Symbol.dispose]: () => held[Symbol.dispose](),
  }
}

/** Above those that the kernel gives to the tunnels it may put into each new namespace. */
const firstInterfaceIndex = 100

function innerLink(number: number): { readonly name: string; readonly index: number } {
  return { name: `eth${number}`, index: firstInterfaceIndex + number }
}

interface HeldAddress extends Disposable {
  readonly address: Ipv4
  readonly fd: number
}

function lockAddress(spec: BridgeSpec, bridge: Bridge, options: LeaseOptions): HeldAddress {
  const { block } = bridge
  const { use, address: asked } = options
  using leases = openLeases(spec.directory)
  const take = (address: Ipv4): HeldAddress | undefined => {
    if (!native().tryLockByte(leases.fd, address)) return undefined
    if (linkExists(portName(spec.ports, { address, block, use }))) return undefined
    return { address, fd: leases.fd, ...leases.keep() }
  }
  if (asked !== undefined) {
    checkAsked(asked, bridge)
    const held = take(asked)
    if (held !== undefined) return held
    throw new KauriError('NETWORK_UNAVAILABLE', `the address ${formatIpv4(asked)} is in use`, {
      hint: 'ask for another one, or end the container that has it',
    })
  }
  for (const address of candidates(spec, bridge, use)) {
    const held = take(address)
    if (held !== undefined) return held
  }
  throw new KauriError('NETWORK_UNAVAILABLE', 'every address of the bridge network is in use', {
    hint: 'end containers, or use --network none or --network host',
  })
}

/** From a random place on, so that an address is not soon another container's. */
function* candidates({ servesBuilds }: BridgeSpec, bridge: Bridge, use: BridgeUse): Iterable<Ipv4> {
  const { leased } = bridge
  const own = servesBuilds ? blockFor(leased, use) : leased
  const size = 2 ** (32 - own.prefixLength)
  const start = Math.floor(Math.random() * size)
  for (let step = 0; step < size; step++) {
    const address = own.address + ((start + step) % size)
    if (isFree(address, bridge)) yield address
  }
}

/** False for the block's own first and last address, and for the host's. */
function isFree(address: Ipv4, { block, gateway }: Bridge): boolean {
  return ![block.address, gateway, lastOf(block)].includes(address)
}

function lastOf({ address, prefixLength }: Ipv4Block): Ipv4 {
  return address + 2 ** (32 - prefixLength) - 1
}

function checkAsked(address: Ipv4, bridge: Bridge): void {
  const { block } = bridge
  if (within(address, block) && isFree(address, bridge)) return
  const text = `${formatIpv4(block.address)}/${block.prefixLength}`
  throw new KauriError(
    'USAGE',
    `${formatIpv4(address)} is no address that a container can have in the network ${text}`,
    { hint: `write one of ${text} that is neither its first, nor its last, nor the gateway` },
  )
}

/** The packet filter knows the pairs of addresses that are handed out; others it must be told of. */
async function passAskedPair(
  spec: BridgeSpec,
  { leased, block }: Bridge,
  { address, hardwareAddress, use }: LeaseOptions & { readonly address: Ipv4 },
): Promise<void> {
  if (hardwareAddress === undefined && within(address, leased)) return
  const { letPass } = await import('./asked-pairs.ts')
  const pair = { address, hardwareAddress: hardwareAddress ?? hardwareAddressOf(address) }
  letPass(
    spec.table,
    pair,
    found => !linkExists(portName(spec.ports, { address: found.address, block, use })),
  )
}

/** The file whose bytes are the addresses; closing it gives up every lock that was taken over it. */
interface Leases extends Disposable {
  readonly fd: number
  /** The file stays open until this is disposed of, too. */
  keep(): Disposable
}

function openLeases(directory: string): Leases {
  const file = path.join(directory, 'leases')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const fd = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  let holders = 1
  const release = (): Disposable => {
    let held = true
    return {
      [Symbol.dispose]() {
        if (!held) return
        held = false
        holders--
        if (holders === 0) closeSync(fd)
      },
    }
  }
  return {
    fd,
    keep() {
      holders++
      return release()
    },
    ...release(),
  }
}

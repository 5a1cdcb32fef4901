// A container's place on the bridge: an address, and the messages that make its interface. An address is leased while one
// byte of a file is locked, which the kernel undoes when the holder ends; the interface is named by its address, so an
// address whose last container is still being taken down is not given away either.

import { closeSync, constants, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { NetworkSetup } from '../runtime/runtime.ts'
import {
  asUnavailable,
  type Bridge,
  type BridgeOptions,
  bridgeDirectory,
  bridgeName,
  linkExists,
  openBridge,
} from './bridge.ts'
import { type BridgeUse, blockFor, hardwareAddressOf, portIndex, portName } from './bridge-ports.ts'
import { formatIpv4, type Ipv4 } from './ipv4.ts'
import { addAddress, addDefaultRoute, makeVethPair } from './link-messages.ts'
import { encodeMessages } from './netlink.ts'

export interface LeaseOptions extends BridgeOptions {
  readonly use: BridgeUse
}

/** An address on the bridge; it is this process's until it is disposed of, or the process ends. Idempotent. */
export interface BridgeLease extends NetworkSetup, Disposable {
  readonly address: string
  readonly gateway: string
}

/** Leases an address of the bridge, which is made where it is missing. @throws NETWORK_UNAVAILABLE */
export async function leaseBridgeAddress(options: LeaseOptions): Promise<BridgeLease> {
  try {
    const bridge = await openBridge(options)
    return leaseOn(bridge, lockAddress(bridge, options.use), options)
  } catch (error) {
    throw asUnavailable(error, options)
  }
}

function leaseOn(
  bridge: Bridge,
  { address, [Symbol.dispose]: dispose }: HeldAddress,
  { use }: LeaseOptions,
): BridgeLease {
  const { block } = bridge
  return {
    address: formatIpv4(address),
    gateway: formatIpv4(bridge.gateway),
    outside: encodeMessages(
      makeVethPair({
        inner: { name: 'eth0', index: interfaceIndex, hardwareAddress: hardwareAddressOf(address) },
        port: {
          name: portName(bridgeName, { address, block, use }),
          index: portIndex(address, block),
        },
        bridge: bridge.index,
        mtu: bridge.mtu,
        isolated: use === 'build',
      }),
    ),
    inside: encodeMessages([
      addAddress({ index: interfaceIndex, address, prefixLength: block.prefixLength }),
      addDefaultRoute(interfaceIndex, bridge.gateway),
    ]),
    [Symbol.dispose]: dispose,
  }
}

/** Above those that the kernel gives to the tunnels it may put into each new namespace. */
const interfaceIndex = 100

interface HeldAddress extends Disposable {
  readonly address: Ipv4
}

/** Tries from a random place on, so that an address is not soon another container's. */
function lockAddress(bridge: Bridge, use: BridgeUse): HeldAddress {
  const { block, gateway } = bridge
  const own = blockFor(block, use)
  const size = 2 ** (32 - own.prefixLength)
  const broadcast = block.address + 2 ** (32 - block.prefixLength) - 1
  const start = Math.floor(Math.random() * size)
  using leases = openLeases()
  for (let step = 0; step < size; step++) {
    const address = own.address + ((start + step) % size)
    if ([block.address, gateway, broadcast].includes(address)) continue
    if (!native().tryLockByte(leases.fd, address)) continue
    if (!linkExists(portName(bridgeName, { address, block, use })))
      return { address, ...leases.keep() }
  }
  throw new KauriError('NETWORK_UNAVAILABLE', 'every address of the bridge network is in use', {
    hint: 'end containers, or use --network none or --network host',
  })
}

/** The file whose bytes are the addresses; closing it gives up every lock that was taken over it. */
interface Leases extends Disposable {
  readonly fd: number
  /** The file stays open until this is disposed of, too. */
  keep(): Disposable
}

function openLeases(): Leases {
  const file = path.join(bridgeDirectory(), 'leases')
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
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

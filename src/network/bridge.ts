// A bridge that containers share: made by the first that needs it, looked over by each that comes, mended where somebody
// changed it. How it is, the kernel shows, so that no file can disagree with
// it; how the host was before, a file remembers.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import { lockFile } from '../native/file-lock.ts'
import { type GuardedBridge, hasBridgeRules, makeBridgeRules } from './bridge-guard.ts'
import { hardwareAddressOf, leasedBlock } from './bridge-ports.ts'
import { type BridgeSpec, networkDirectory } from './bridge-spec.ts'
import { chooseSubnet } from './bridge-subnet.ts'
import { hostFirewallPasses, openHostFirewall } from './host-firewall.ts'
import {
  isForwarding,
  readNetworkRecord,
  recordNetwork,
  startForwarding,
} from './host-forwarding.ts'
import { blockOf, type Ipv4, type Ipv4Block, parseIpv4 } from './ipv4.ts'
import {
  addAddress,
  bringUp,
  findRoute,
  getLink,
  type Link,
  type LinkAddress,
  listAddresses,
  listRoutes,
  makeBridge,
  parseAddress,
  parseLink,
  parseRoute,
} from './link-messages.ts'
import { type NetlinkMessage, netlinkProtocol, netlinkRequest } from './netlink.ts'

/** A bridge that is up, with an address and rules. */
export interface Bridge {
  readonly index: number
  /** The host's address on it, the containers' gateway. */
  readonly gateway: Ipv4
  readonly block: Ipv4Block
  /** The addresses that are handed out to who asks for none in particular. */
  readonly leased: Ipv4Block
  /** Of the interfaces on it. */
  readonly mtu: number
}

export interface BridgeOptions {
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit | undefined
}

/** The bridge as it must be; a few calls where it is so already. @throws NETWORK_UNAVAILABLE, a system error for asUnavailable */
export async function openBridge(spec: BridgeSpec, options: BridgeOptions): Promise<Bridge> {
  const uplink = findUplink()
  const found = readBridge(spec, uplink)
  if (found !== undefined && isWhole(spec, found, uplink)) return found
  const lock = path.join(networkDirectory(), 'bridge.lock')
  using _ = await lockFile(lock, 'exclusive', options.signal)
  return await mendBridge(spec, uplink, options)
}

/** What the kernel refused, and the way around it; other errors as they are. */
export function asUnavailable(error: unknown, { signal }: BridgeOptions): unknown {
  if (signal?.aborted || error instanceof KauriError) return error
  const message = error instanceof Error ? error.message : String(error)
  const hint = hasErrno(error, 'EPERM', 'EACCES')
    ? 'kauri needs CAP_NET_ADMIN for the bridge network; --network none and --network host do without'
    : hasErrno(error, 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT')
      ? 'the kernel needs the modules bridge, veth, nf_tables, nft_ct and nft_masq; --network none and --network host do without'
      : 'use --network none or --network host'
  return new KauriError('NETWORK_UNAVAILABLE', `no bridge network: ${message}`, {
    hint,
    cause: error,
  })
}

function route(message: NetlinkMessage): ReturnType<typeof netlinkRequest> {
  return netlinkRequest(netlinkProtocol.route, [message])
}

function findLink(which: string | number): Link | undefined {
  try {
    return route(getLink(which)).flatMap(reply => parseLink(reply) ?? [])[0]
  } catch (error) {
    if (hasErrno(error, 'ENODEV')) return undefined
    throw error
  }
}

/** True where an interface has that name. */
export function linkExists(name: string): boolean {
  return findLink(name) !== undefined
}

/** Any address of the wide world; nothing is sent there. */
const farAway = parseIpv4('1.1.1.1') ?? 0
const ethernetMtu = 1500

/** The interface by which packets leave the host. */
interface Uplink {
  /** 0 on a host without a way out, whose containers reach the host. */
  readonly index: number
  readonly mtu: number
}

function findUplink(): Uplink {
  try {
    const [way] = route(findRoute(farAway)).flatMap(reply => parseRoute(reply) ?? [])
    const index = way?.outInterface ?? 0
    return { index, mtu: (index === 0 ? undefined : findLink(index)?.mtu) ?? ethernetMtu }
  } catch (error) {
    if (hasErrno(error, 'ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL'))
      return { index: 0, mtu: ethernetMtu }
    throw error
  }
}

/** The bridge as it is; undefined where it is missing, down or without the address that it must have. */
function readBridge(spec: BridgeSpec, uplink: Uplink): Bridge | undefined {
  const link = findLink(spec.name)
  const address = link?.isUp ? findAddress(link, spec) : undefined
  return link && address && bridgeOf(spec, link, { ...address, mtu: uplink.mtu })
}

function findAddress({ index }: Link, { addresses }: BridgeSpec): LinkAddress | undefined {
  const isWanted = ({ address, prefixLength }: LinkAddress): boolean =>
    addresses === undefined ||
    (address === addresses.gateway && prefixLength === addresses.block.prefixLength)
  return route(listAddresses())
    .flatMap(reply => parseAddress(reply) ?? [])
    .find(address => address.index === index && isWanted(address))
}

function bridgeOf(
  { addresses, mtu: ownMtu }: BridgeSpec,
  { index }: Link,
  { address, prefixLength, mtu }: Omit<LinkAddress, 'index'> & Pick<Uplink, 'mtu'>,
): Bridge {
  const block = blockOf(address, prefixLength)
  const leased = addresses?.leased ?? leasedBlock(block)
  return { index, gateway: address, block, leased, mtu: ownMtu ?? mtu }
}

function guardedBridge(
  spec: BridgeSpec,
  bridge: Bridge,
  strangers: readonly string[],
): GuardedBridge {
  const { name, ports, table, servesBuilds, isInternal, masquerades, separates } = spec
  const { gateway, block, leased } = bridge
  const what = { name, ports, table, servesBuilds, isInternal, masquerades, separates }
  return { ...what, gateway, block, leased, strangers }
}

function isWhole(spec: BridgeSpec, bridge: Bridge, uplink: Uplink): boolean {
  const record = readNetworkRecord(networkDirectory())
  return (
    record !== undefined &&
    isForwarding() &&
    hasBridgeRules(guardedBridge(spec, bridge, record.strangers)) &&
    hostFirewallPasses({ name: spec.name, uplink: uplink.index })
  )
}

/** Makes what is missing; the caller holds the lock. */
async function mendBridge(
  spec: BridgeSpec,
  uplink: Uplink,
  { emit }: BridgeOptions,
): Promise<Bridge> {
  const record = recordNetwork(networkDirectory(), spec.name)
  const bridge = readBridge(spec, uplink) ?? makeWholeBridge(spec, uplink)
  // Rules first: at no moment does the host let through what they hold back.
  const guarded = guardedBridge(spec, bridge, record.strangers)
  if (!hasBridgeRules(guarded)) await makeBridgeRules(guarded)
  await openHostFirewall({ name: spec.name, uplink: uplink.index })
  if (isForwarding()) return bridge
  startForwarding()
  emit?.({
    kind: 'warning',
    message:
      'this host forwards IPv4 packets from now on (net.ipv4.ip_forward), to and from the bridge network only',
  })
  return bridge
}

function makeWholeBridge(spec: BridgeSpec, { mtu }: Uplink): Bridge {
  const { name, addresses } = spec
  const link = findLink(name) ?? makeLink(spec)
  if (link.kind !== 'bridge')
    throw new KauriError(
      'NETWORK_UNAVAILABLE',
      `the interface ${name} is no bridge but ${link.kind || 'another kind'}`,
      { hint: 'rename or remove it, or use --network none or --network host' },
    )
  refuseIpv6(name)
  route(bringUp(link.index))
  const found = findAddress(link, spec)
  if (found !== undefined) return bridgeOf(spec, link, { ...found, mtu })
  const { block, gateway } = addresses ?? freeAddresses()
  const own = { address: gateway, prefixLength: block.prefixLength }
  route(addAddress({ index: link.index, ...own }))
  return bridgeOf(spec, link, { ...own, mtu })
}

function makeLink({ name, addresses }: BridgeSpec): Link {
  route(makeBridge(name, hardwareAddressOf(addresses?.gateway ?? 0)))
  const link = findLink(name)
  if (link !== undefined) return link
  throw new Error(`${name} went away while it was made`)
}

function freeAddresses(): { readonly block: Ipv4Block; readonly gateway: Ipv4 } {
  const block = freeBlock()
  return { block, gateway: block.address + 1 }
}

/** @throws NETWORK_UNAVAILABLE where this host has a route for every block */
function freeBlock(): Ipv4Block {
  const block = chooseSubnet(usedBlocks())
  if (block !== undefined) return block
  throw new KauriError('NETWORK_UNAVAILABLE', 'no addresses are free for the bridge network', {
    hint: 'make a bridge kauri0 with an address of your choice, or use --network none or --network host',
  })
}

/** Blocks that this host knows of: routes, a default one among them, and its resolvers. @throws a system error */
export function usedBlocks(): readonly Ipv4Block[] {
  return [
    ...route(listRoutes()).flatMap(reply => parseRoute(reply)?.destination ?? []),
    ...resolverAddresses().map(address => ({ address, prefixLength: 32 })),
  ]
}

/** Resolvers that the host reaches by its default route are in no route of their own. */
function resolverAddresses(): readonly Ipv4[] {
  const text = existsSync('/etc/resolv.conf') ? readFileSync('/etc/resolv.conf', 'utf8') : ''
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].flatMap(
    ([, server = '']) => parseIpv4(server) ?? [],
  )
}

/** With IPv6 on it the host would take routes and addresses from what containers advertise. */
function refuseIpv6(name: string): void {
  const file = `/proc/sys/net/ipv6/conf/${name}/disable_ipv6`
  if (existsSync(file)) writeFileSync(file, '1')
}

// The places of a container on bridges: an address on each, and the messages that make its interfaces.

import { isIP } from 'node:net'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { type AddressLease, type LeaseOptions, leaseAddress } from '../network/bridge-lease.ts'
import { type BridgeSpec, defaultBridge } from '../network/bridge-spec.ts'
import { parseIpv4 } from '../network/ipv4.ts'
import { encodeMessages } from '../network/netlink.ts'
import { bridgeSpecOf, type Network, openNetworks } from '../network/networks.ts'
import { removePlaced, sweepManyPlaced, writePlaced } from '../network/placed-containers.ts'
import type { NetworkSetup } from '../runtime/runtime.ts'
import type { NetworkWork } from './container-network.ts'
import { defaultNetwork, type NetworkAttachment, type NetworkEndpoint } from './network-request.ts'

/** Where the networks of a state directory are: beside its containers. */
export function networksBeside(containersRoot: string): string {
  return path.join(path.dirname(containersRoot), 'networks')
}

/** Places that are taken. Disposing gives them up. */
export interface Attached extends Disposable {
  readonly setup: NetworkSetup
  readonly endpoints: readonly NetworkEndpoint[]
  /** Name servers of the networks' own; undefined where it is on the default bridge alone. */
  readonly servers: readonly string[] | undefined
  /** Where what comes from the host's ports gets in; undefined where no network leads anywhere. */
  readonly wayOut: { readonly table: string; readonly address: string } | undefined
  readonly descriptors: readonly number[]
  handOver(): void
}

export interface AttachWork extends NetworkWork {
  readonly networksRoot: string
  /** Name servers that the caller named. */
  readonly servers: readonly string[]
}

/** One of the networks with what was leased on it. */
interface Place {
  readonly asked: NetworkAttachment
  /** Undefined: the default bridge. */
  readonly network: Network | undefined
  readonly spec: BridgeSpec
  readonly lease: AddressLease
}

/** Takes a place on each network. @throws NETWORK_NOT_FOUND, NETWORK_UNAVAILABLE, USAGE; none is taken then */
export async function attachNetworks(
  attachments: readonly NetworkAttachment[],
  work: AttachWork,
): Promise<Attached> {
  using held = new DisposableStack()
  const places: Place[] = []
  const locks: number[] = []
  for (const asked of attachments) {
    const { network, spec } = findAttachment(asked, work.networksRoot)
    if (places.some(place => place.spec.table === spec.table))
      throw new KauriError('USAGE', `the network ${asked.network} is named twice`)
    if (network !== undefined) locks.push(held.use(await shareNetwork(spec, work)).fd)
    const lease = held.use(await leaseAddress(spec, leaseOptions(asked, work)))
    places.push({ asked, network, spec, lease })
  }
  const wayOut = wayOutOf(places)
  const endpoints = places.map((place, index) => endpointOf(place, index))
  sweepManyPlaced()
  writePlaced({ id: work.id, name: work.name, endpoints, servers: work.servers })
  const named = places.filter(({ network }) => network !== undefined)
  await startResolvers(named, work)
  const kept = held.move()
  const letGo = (): void => kept.dispose()
  return {
    setup: setupOf(places, wayOut),
    endpoints,
    servers: named.length === 0 ? undefined : named.map(({ lease }) => lease.host),
    wayOut: wayOut && { table: wayOut.spec.table, address: wayOut.lease.address },
    descriptors: [...places.map(({ lease }) => lease.fd), ...locks],
    handOver: letGo,
    [Symbol.dispose]() {
      removePlaced(work.id)
      kept.dispose()
    },
  }
}

/** The network that an attachment names, and its bridge. @throws NETWORK_NOT_FOUND, USAGE */
export function findAttachment(
  asked: NetworkAttachment,
  networksRoot: string,
): { readonly network: Network | undefined; readonly spec: BridgeSpec } {
  if (asked.network === defaultNetwork) {
    if (asked.address !== undefined || asked.aliases.length > 0)
      throw new KauriError(
        'USAGE',
        'addresses and aliases are for networks of your own, not for the default bridge',
        { hint: 'kauri network create NAME makes one' },
      )
    return { network: undefined, spec: defaultBridge() }
  }
  const network = openNetworks(networksRoot).get(asked.network)
  return { network, spec: bridgeSpecOf(network) }
}

/** Nobody takes the network away while this is held. */
async function shareNetwork(
  spec: BridgeSpec,
  { signal }: AttachWork,
): Promise<Disposable & { readonly fd: number }> {
  const [{ lockFile }, { usersLock }] = await Promise.all([
    import('../native/file-lock.ts'),
    import('../network/remove-network.ts'),
  ])
  return await lockFile(usersLock(spec), 'shared', signal)
}

/** What is asked of a lease. @throws USAGE */
export function leaseOptions(
  { address, hardwareAddress }: NetworkAttachment,
  { signal, emit }: Pick<NetworkWork, 'signal' | 'emit'>,
): LeaseOptions {
  if (address !== undefined && isIP(address) !== 4)
    throw new KauriError('USAGE', `"${address}" is no IPv4 address`, {
      hint: 'networks have IPv4 addresses only',
    })
  return {
    use: 'container',
    address: address === undefined ? undefined : parseIpv4(address),
    hardwareAddress: hardwareAddress === undefined ? undefined : hardwareBytes(hardwareAddress),
    signal,
    emit,
  }
}

/** `02:42:ac:11:00:02`, one that is for a single interface. @throws USAGE */
function hardwareBytes(text: string): Uint8Array {
  const isWhole = /^(?:[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2})$/.test(text)
  const bytes = Uint8Array.from(text.split(/[:-]/), byte => Number.parseInt(byte, 16))
  const isOne = isWhole && ((bytes[0] ?? 1) & 1) === 0 && bytes.some(byte => byte !== 0)
  if (isOne) return bytes
  throw new KauriError('USAGE', `"${text}" is no hardware address`, {
    hint: 'write six bytes such as 02:42:ac:11:00:02, the first one even',
  })
}

/** The highest priority's; of equals the first. */
function wayOutOf(places: readonly Place[]): Place | undefined {
  return places
    .filter(({ lease }) => lease.gateway !== undefined)
    .toSorted((a, b) => b.asked.gatewayPriority - a.asked.gatewayPriority)[0]
}

function endpointOf({ asked, network, lease }: Place, index: number): NetworkEndpoint {
  const { address, prefixLength, gateway, hardwareAddress, port } = lease
  return {
    network: network?.name ?? defaultNetwork,
    networkId: network?.id ?? '',
    interface: `eth${index}`,
    address,
    prefixLength,
    ...(gateway === undefined ? {} : { gateway }),
    hardwareAddress,
    aliases: asked.aliases,
    port,
  }
}

function setupOf(places: readonly Place[], wayOut: Place | undefined): NetworkSetup {
  return {
    outside: encodeMessages(places.flatMap(({ lease }, index) => lease.outside(index))),
    inside: encodeMessages(
      places.flatMap((place, index) => place.lease.inside(index, place === wayOut)),
    ),
  }
}

async function startResolvers(named: readonly Place[], work: AttachWork): Promise<void> {
  for (const { spec, lease, network } of named)
    if (network !== undefined) await startResolverOn({ spec, host: lease.host, network }, work)
}

/** Sees to it that somebody answers for names on a network. */
export async function startResolverOn(
  {
    spec,
    host,
    network,
  }: { readonly spec: BridgeSpec; readonly host: string; readonly network: Network },
  { command, emit }: Pick<NetworkWork, 'command' | 'emit'>,
): Promise<void> {
  if (command === undefined) return
  const { startResolver } = await import('../network/start-resolver.ts')
  const words = ['network-names', network.id, host]
  await startResolver(spec, { address: host, command: command(words), emit })
}

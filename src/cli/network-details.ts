// Networks as docker shows them: rows of a list, the whole of one, and which ones filters choose. The three that every
// state directory has are among them.

import { fingerprint } from '../core/fingerprint.ts'
import { formatBlock, formatIpv4 } from '../network/ipv4.ts'
import type { Network, Networks } from '../network/networks.ts'
import { listPlaced, type PlacedContainer } from '../network/placed-containers.ts'
import { builtInNetworks } from '../network/plan-network.ts'
import { hasLabels, parseFilters } from './container-filters.ts'
import { momentNanoseconds } from './duration.ts'
import { badValue } from './option-values.ts'

/** A network, or one of those that are there for good. */
interface ShownNetwork {
  readonly id: string
  readonly name: string
  readonly driver: string
  readonly isBuiltIn: boolean
  readonly createdMs: number
  readonly network?: Network
}

const drivers: Readonly<Record<string, string>> = { bridge: 'bridge', host: 'host', none: 'null' }

function builtIn(name: string): ShownNetwork {
  const id = [0, 1, 2, 3].map(part => fingerprint(`network ${name} ${part}`)).join('')
  return { id, name, driver: drivers[name] ?? '', isBuiltIn: true, createdMs: 0 }
}

function shown(network: Network): ShownNetwork {
  const { id, name, createdMs } = network
  return { id, name, driver: 'bridge', isBuiltIn: false, createdMs, network }
}

function allOf(networks: readonly Network[]): readonly ShownNetwork[] {
  return [...builtInNetworks.map(builtIn), ...networks.map(shown)].toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  )
}

const filterKeys = ['name', 'id', 'driver', 'scope', 'type', 'label', 'dangling'] as const

/** Values of a key are alternatives, keys and labels add up. @throws USAGE */
export async function filteredNetworks(
  networks: readonly Network[],
  texts: readonly string[],
): Promise<readonly ShownNetwork[]> {
  const filters = parseFilters(texts, filterKeys)
  const used = filters.has('dangling') ? usedIds() : new Set<string>()
  return allOf(networks).filter(network =>
    [...filters].every(([key, values]) =>
      key === 'label'
        ? hasLabels(network.network?.labels ?? {}, values)
        : values.some(value => matches(network, key, { value, used })),
    ),
  )
}

function usedIds(): ReadonlySet<string> {
  return new Set(
    listPlaced().flatMap(({ endpoints }) => endpoints.map(({ networkId }) => networkId)),
  )
}

function matches(
  { id, name, driver, isBuiltIn }: ShownNetwork,
  key: string,
  { value, used }: { readonly value: string; readonly used: ReadonlySet<string> },
): boolean {
  switch (key) {
    case 'name':
      return name.includes(value)
    case 'id':
      return id.startsWith(value)
    case 'driver':
      return driver === value
    case 'scope':
      return value === 'local'
    case 'type':
      return value === (isBuiltIn ? 'builtin' : 'custom')
    case 'dangling':
      return (!isBuiltIn && !used.has(id)) === /^(?:1|t|true)$/i.test(value)
    default:
      return false
  }
}

/** A row of the list. */
export type NetworkRow = Readonly<Record<'ID' | 'Name' | 'Driver' | 'Scope', string>> &
  Readonly<Record<string, unknown>>

export function networkRows(networks: readonly ShownNetwork[], isWhole: boolean): NetworkRow[] {
  return networks.map(({ id, name, driver, createdMs, network }) => {
    const labels = network?.labels ?? {}
    return {
      ID: isWhole ? id : id.slice(0, 12),
      Name: name,
      Driver: driver,
      Scope: 'local',
      IPv4: 'true',
      IPv6: 'false',
      Internal: String(network?.internal ?? false),
      Labels: Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
      CreatedAt: new Date(createdMs).toISOString(),
      Label: (key: string) => labels[key] ?? '',
    }
  })
}

/** All of a network, in docker's form. @throws NETWORK_NOT_FOUND, USAGE */
export function inspectNetwork(networks: Networks, name: string): object {
  const own = builtInNetworks.includes(name) ? builtIn(name) : shown(networks.get(name))
  const { network } = own
  const placed = listPlaced()
  const networkId = own.isBuiltIn ? '' : own.id
  return {
    Name: own.name,
    Id: own.id,
    Created: new Date(own.createdMs).toISOString(),
    Scope: 'local',
    Driver: own.driver,
    EnableIPv4: own.driver === 'bridge',
    EnableIPv6: false,
    IPAM: { Driver: 'default', Options: {}, Config: network === undefined ? [] : [ipam(network)] },
    Internal: network?.internal ?? false,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: '' },
    ConfigOnly: false,
    Containers: own.driver === 'bridge' ? containersOn(placed, networkId) : {},
    Options: network?.options ?? {},
    Labels: network?.labels ?? {},
  }
}

function ipam({ block, range, gateway }: Network): object {
  const isPart = range.prefixLength !== block.prefixLength || range.address !== block.address
  return {
    Subnet: formatBlock(block),
    ...(isPart ? { IPRange: formatBlock(range) } : {}),
    Gateway: formatIpv4(gateway),
  }
}

function containersOn(placed: readonly PlacedContainer[], networkId: string): object {
  const on = placed.flatMap(container =>
    container.endpoints
      .filter(endpoint => endpoint.networkId === networkId)
      .map(endpoint => ({ container, endpoint })),
  )
  return Object.fromEntries(
    on.map(({ container: { id, name }, endpoint }) => [
      id,
      {
        Name: name,
        EndpointID: fingerprint(`${id} ${networkId}`).repeat(4),
        MacAddress: endpoint.hardwareAddress,
        IPv4Address: `${endpoint.address}/${endpoint.prefixLength}`,
        IPv6Address: '',
      },
    ]),
  )
}

const nanosecondsPerMillisecond = 1_000_000n

/** What `prune` may take: by age and labels, `label!=` for those without. @throws USAGE */
export function prunableNetworks(
  networks: readonly Network[],
  texts: readonly string[],
): readonly Network[] {
  const filters = parseFilters(texts, ['until', 'label', 'label!'])
  const until = filters.get('until')?.at(-1)
  if (until === '') throw badValue('--filter', 'until=', 'write a time or a duration such as 24h')
  const latest =
    until === undefined
      ? undefined
      : momentNanoseconds('--filter until', until, Date.now()) / nanosecondsPerMillisecond
  return networks.filter(
    ({ labels, createdMs }) =>
      hasLabels(labels, filters.get('label') ?? []) &&
      !(filters.get('label!') ?? []).some(label => hasLabels(labels, [label])) &&
      (latest === undefined || BigInt(createdMs) <= latest),
  )
}

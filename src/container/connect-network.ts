// `network connect` and `disconnect`: the container's request changes, so that its next start does the same, and where it runs
// its interfaces do, too.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { leaseAddress } from '../network/bridge-lease.ts'
import { connectRunning, removePort } from '../network/connect-running.ts'
import type { NetworkEndpoint, PlacedContainer } from '../network/placed-containers.ts'
import { listPlaced, writePlaced } from '../network/placed-containers.ts'
import type { ContainerState } from './container.ts'
import type { NetworkWork } from './container-network.ts'
import { getRequest, writeRequest } from './container-records.ts'
import {
  findAttachment,
  leaseOptions,
  networksBeside,
  startResolverOn,
} from './network-attachments.ts'
import type { NetworkAttachment, NetworkRequest } from './network-request.ts'

/** Puts a container on one more network. @throws USAGE, NETWORK_NOT_FOUND, NETWORK_UNAVAILABLE */
export async function connectContainer(
  state: ContainerState,
  asked: NetworkAttachment,
  work: NetworkWork,
): Promise<void> {
  const request = getRequest(work.root, state)
  const attachments = attachmentsOf(request.spec.network, state)
  const { network, spec } = findAttachment(asked, networksBeside(work.root))
  const name = network?.name ?? asked.network
  if (attachments.some(other => other.network === name || other.network === network?.id))
    throw new KauriError('USAGE', `the container ${state.name} is on the network ${name} already`)
  const pid = work.findPid?.(state.id) ?? 0
  if (pid > 0) {
    const known = listPlaced().find(({ id }) => id === state.id)
    const endpoints = known?.endpoints ?? []
    using lease = await leaseAddress(spec, leaseOptions(asked, work))
    const number = freeNumber(endpoints)
    const isWayOut = endpoints.every(({ gateway }) => gateway === undefined)
    await connectRunning(lease, { pid, number, isWayOut })
    const { address, prefixLength, gateway, hardwareAddress, port } = lease
    const endpoint: NetworkEndpoint = {
      network: name,
      networkId: network?.id ?? '',
      interface: `eth${number}`,
      address,
      prefixLength,
      ...(gateway === undefined ? {} : { gateway }),
      hardwareAddress,
      aliases: asked.aliases,
      port,
    }
    const placed = {
      id: state.id,
      name: state.name,
      servers: request.spec.resolver.servers ?? [],
      endpoints: [...endpoints, endpoint],
    }
    writePlaced(placed)
    if (network !== undefined) await startResolverOn({ spec, host: lease.host, network }, work)
    nameResolver(placed, lease.host, { work, wasNamed: endpoints.some(isNamed) })
  }
  const changed: NetworkRequest = {
    kind: 'networks',
    attachments: [...attachments, { ...asked, network: name }],
  }
  writeRequest(work.root, state.id, { ...request, spec: { ...request.spec, network: changed } })
}

function isNamed({ networkId }: NetworkEndpoint): boolean {
  return networkId !== ''
}

function attachmentsOf(
  request: NetworkRequest,
  { name }: ContainerState,
): readonly NetworkAttachment[] {
  if (request.kind === 'networks') return request.attachments
  if (request.kind === 'none') return []
  throw new KauriError(
    'USAGE',
    `the container ${name} has no network of its own, so it cannot be put on others`,
  )
}

function freeNumber(endpoints: readonly NetworkEndpoint[]): number {
  const taken = new Set(endpoints.map(endpoint => endpoint.interface))
  let number = 0
  while (taken.has(`eth${number}`)) number++
  return number
}

/**
 * A container that was on the default bridge alone asks the host's servers; from now on it asks the network's. The file is
 * written in place, for it is mounted in the container.
 */
function nameResolver(
  { id }: PlacedContainer,
  server: string,
  { work, wasNamed }: { readonly work: NetworkWork; readonly wasNamed: boolean },
): void {
  if (wasNamed) return
  writeFileSync(path.join(work.root, id, 'resolv.conf'), `nameserver ${server}\noptions ndots:0\n`)
}

/** Takes a container off a network. @throws USAGE where it is not on it */
export function disconnectContainer(state: ContainerState, name: string, work: NetworkWork): void {
  const request = getRequest(work.root, state)
  const attachments = attachmentsOf(request.spec.network, state)
  const wanted = findAttachment(
    { network: name, aliases: [], gatewayPriority: 0 },
    networksBeside(work.root),
  )
  const names = [name, wanted.network?.name, wanted.network?.id]
  const left = attachments.filter(({ network }) => !names.includes(network))
  if (left.length === attachments.length)
    throw new KauriError('USAGE', `the container ${state.name} is not on the network ${name}`)
  const known = listPlaced().find(({ id }) => id === state.id)
  const networkId = wanted.network?.id ?? ''
  if (known !== undefined) {
    for (const endpoint of known.endpoints)
      if (endpoint.networkId === networkId) removePort(endpoint.port)
    const endpoints = known.endpoints.filter(endpoint => endpoint.networkId !== networkId)
    writePlaced({ ...known, endpoints })
  }
  const network: NetworkRequest =
    left.length === 0 ? { kind: 'none' } : { kind: 'networks', attachments: left }
  writeRequest(work.root, state.id, { ...request, spec: { ...request.spec, network } })
}

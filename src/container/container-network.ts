// A container's network for one run of it: ports, addresses and names are taken before its first process starts, and all of
// them are the kernel's to take back: locks, sockets and pipes of whoever holds the descriptors.

import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { PortRelay, PublishedPort } from '../network/port-relay.ts'
import type { HostCommand } from '../runtime/container-runtime.ts'
import type { NetworkSetup } from '../runtime/runtime.ts'
import type { ContainerSpec } from './container.ts'
import { type NamespaceHost, namespacePathOf } from './namespace-paths.ts'
import type { Attached } from './network-attachments.ts'
import type { NetworkAttachment, NetworkEndpoint } from './network-request.ts'

/** What stays of a network until the container has ended. */
export interface ContainerNetwork extends AsyncDisposable {
  /** What the container's network namespace is like. */
  readonly mode: 'none' | 'host' | 'bridge'
  /** A namespace to join; undefined: one of its own, or the host's. */
  readonly namespacePath?: string | undefined
  /** What makes the interfaces. */
  readonly setup?: NetworkSetup | undefined
  /** As asked for, with the ports that were free. */
  readonly ports: readonly PublishedPort[]
  readonly endpoints: readonly NetworkEndpoint[]
  /** Name servers of the networks' own; undefined: the host's. */
  readonly servers?: readonly string[] | undefined
  /** Whoever holds the container holds these; the network ends with the last copy. */
  readonly descriptors: readonly number[]
  /** Closes this process's copies of the descriptors and leaves the network to who inherited them; disposing does nothing then. */
  handOver(): void
}

/** Whose network it is, and what it takes to make one. */
export interface NetworkWork extends NamespaceHost {
  readonly id: string
  readonly name: string
  /** This program with other words; without it there is nobody who answers for names. */
  readonly command?: ((words: readonly string[]) => HostCommand) | undefined
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit | undefined
}

/** What of a container its network is made of. */
export type NetworkedContainer = Pick<ContainerSpec, 'network' | 'ports' | 'resolver'>

/** Takes what the container needs of the host's network. @throws NETWORK_UNAVAILABLE, NETWORK_NOT_FOUND, USAGE */
export async function openContainerNetwork(
  asked: NetworkedContainer,
  work: NetworkWork,
): Promise<ContainerNetwork> {
  const { network, ports } = asked
  if (network.kind === 'networks') return await openAttached(asked, network.attachments, work)
  if (ports.length > 0) throw withoutPorts(network.kind)
  if (network.kind !== 'container') return { ...nothingHeld, mode: network.kind }
  const directory = namespacePathOf(`container:${network.container}`, work)
  return { ...nothingHeld, mode: 'none', namespacePath: `${directory}/net` }
}

const nothingHeld = {
  ports: [],
  endpoints: [],
  descriptors: [],
  handOver() {},
  async [Symbol.asyncDispose]() {},
}

function withoutPorts(network: string): KauriError {
  return new KauriError('USAGE', `with --network ${network} there are no ports to publish`, {
    hint:
      network === 'host'
        ? 'leave -p out: what the container listens on is open on the host'
        : 'use --network bridge',
  })
}

async function openAttached(
  asked: NetworkedContainer,
  attachments: readonly NetworkAttachment[],
  work: NetworkWork,
): Promise<ContainerNetwork> {
  const { attachNetworks, networksBeside } = await import('./network-attachments.ts')
  await using held = new AsyncDisposableStack()
  // Before anything is made: a port that somebody else has ends it here.
  const relay = asked.ports.length === 0 ? undefined : held.use(await takePorts(asked.ports))
  const attached = held.use(
    await attachNetworks(attachments, {
      ...work,
      networksRoot: networksBeside(work.root),
      servers: asked.resolver.servers ?? [],
    }),
  )
  if (relay !== undefined) await leadPorts(relay, attached)
  const kept = held.move()
  let isHeld = true
  return {
    mode: 'bridge',
    setup: attached.setup,
    ports: relay?.ports ?? [],
    endpoints: attached.endpoints,
    servers: attached.servers,
    descriptors: [...attached.descriptors, ...(relay === undefined ? [] : [relay.fd])],
    handOver() {
      isHeld = false
      relay?.handOver()
      attached.handOver()
    },
    async [Symbol.asyncDispose]() {
      if (isHeld) await kept.disposeAsync()
      isHeld = false
    },
  }
}

async function takePorts(asked: readonly PublishedPort[]): Promise<PortRelay> {
  const { openPortRelay } = await import('../network/port-relay.ts')
  return await openPortRelay(asked)
}

/** Ports lead to the network that is the container's way out. */
async function leadPorts(relay: PortRelay, { wayOut }: Attached): Promise<void> {
  if (wayOut === undefined)
    throw new KauriError('USAGE', 'on an internal network there are no ports to publish', {
      hint: 'leave -p out, or put the container on another network, too',
    })
  const { portEntries } = await import('../network/port-translation.ts')
  const { table, address } = wayOut
  await relay.leadTo(address, portEntries(table, relay.ports, address))
}

/** Says nothing more of where a container was that has ended, and whose network its holder gave up. */
export async function forgetNetwork(
  spec: Pick<ContainerSpec, 'network'> | undefined,
  id: string,
): Promise<void> {
  if (spec?.network.kind !== 'networks') return
  const { removePlaced } = await import('../network/placed-containers.ts')
  removePlaced(id)
}

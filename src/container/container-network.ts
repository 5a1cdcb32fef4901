// A container's network for one run of it: ports, addresses and names are taken before its first process starts, and all of
// them are the kernel's to take back: locks, sockets and pipes of whoever holds the descriptors.

import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { AddressLease } from '../network/bridge-lease.ts'
import type { PortRelay, PublishedPort } from '../network/port-relay.ts'
import type { NetworkSetup } from '../runtime/runtime.ts'
import type { ContainerRequest } from './container.ts'
import type { NetworkEndpoint } from './network-request.ts'

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
  /** Closes this process's copies of the descriptors and leaves the network to who inherited them. */
  handOver(): void
}

export interface NetworkWork {
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit | undefined
}

/** Takes what the container needs of the host's network. @throws NETWORK_UNAVAILABLE, USAGE */
export async function openContainerNetwork(
  request: Pick<ContainerRequest, 'network' | 'ports'>,
  work: NetworkWork,
): Promise<ContainerNetwork> {
  const { network, ports } = request
  if (network.kind === 'networks') return await openBridge(ports, work)
  if (ports.length > 0) throw withoutPorts(network.kind)
  if (network.kind === 'container')
    throw new KauriError('UNSUPPORTED', 'the network of another container')
  return { ...nothingHeld, mode: network.kind }
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

async function openBridge(
  asked: readonly PublishedPort[],
  { signal, emit }: NetworkWork,
): Promise<ContainerNetwork> {
  const [{ leaseAddress }, { defaultBridge }, { encodeMessages }] = await Promise.all([
    import('../network/bridge-lease.ts'),
    import('../network/bridge-spec.ts'),
    import('../network/netlink.ts'),
  ])
  await using held = new AsyncDisposableStack()
  // Before anything is made: a port that somebody else has ends it here.
  const relay = asked.length === 0 ? undefined : held.use(await takePorts(asked))
  const spec = defaultBridge()
  const lease = held.use(await leaseAddress(spec, { use: 'container', signal, emit }))
  if (relay !== undefined) {
    const { portEntries } = await import('../network/port-translation.ts')
    await relay.leadTo(lease.address, portEntries(spec.table, relay.ports, lease.address))
  }
  const kept = held.move()
  return {
    mode: 'bridge',
    setup: {
      outside: encodeMessages(lease.outside(0)),
      inside: encodeMessages(lease.inside(0, true)),
    },
    ports: relay?.ports ?? [],
    endpoints: [endpointOf(lease)],
    descriptors: [lease.fd, ...(relay === undefined ? [] : [relay.fd])],
    handOver() {
      relay?.handOver()
      lease[Symbol.dispose]()
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

async function takePorts(asked: readonly PublishedPort[]): Promise<PortRelay> {
  const { openPortRelay } = await import('../network/port-relay.ts')
  return await openPortRelay(asked)
}

function endpointOf({
  address,
  prefixLength,
  gateway,
  hardwareAddress,
}: AddressLease): NetworkEndpoint {
  return {
    network: 'bridge',
    networkId: '',
    interface: 'eth0',
    address,
    prefixLength,
    gateway,
    hardwareAddress,
    aliases: [],
  }
}

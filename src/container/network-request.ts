// What a container is connected to, as the caller asked for it; pure data that is kept with the container.

/** One network that a container is on. */
export interface NetworkAttachment {
  /** As the caller named it; `bridge` is the default one. */
  readonly network: string
  /** Names beside the container's own by which others on that network find it. */
  readonly aliases: readonly string[]
  /** An IPv4 address of the network; undefined: one that is free. */
  readonly address?: string | undefined
  /** `02:42:ac:11:00:02`; undefined: one that goes with the address. */
  readonly hardwareAddress?: string | undefined
  /** The highest one's gateway is the container's; of equals that of the network that was named first. */
  readonly gatewayPriority: number
}

export type NetworkRequest =
  /** Nothing but the loopback interface. */
  | { readonly kind: 'none' }
  /** The host's network. */
  | { readonly kind: 'host' }
  /** The network of another container, which must run: name, id or beginning of an id. */
  | { readonly kind: 'container'; readonly container: string }
  /** At least one; the first is `eth0`. */
  | { readonly kind: 'networks'; readonly attachments: readonly NetworkAttachment[] }

/** Name of the network that containers are on unless they ask for another one. */
export const defaultNetwork = 'bridge'

/** The default: an address of its own on the default bridge. */
export const onDefaultBridge: NetworkRequest = {
  kind: 'networks',
  attachments: [{ network: defaultNetwork, aliases: [], gatewayPriority: 0 }],
}

export type { NetworkEndpoint } from '../network/placed-containers.ts'

// `-p`: ports of the host that lead to a container, by sockets for the host itself and by the packet filter for others.

import { openPortRelays, type PublishedPort } from '../network/port-relay.ts'
import { translatePorts } from '../network/port-translation.ts'

/** Ports that are held for a container; disposing frees them. */
export interface HeldPorts extends AsyncDisposable {
  /** As asked for, with the ports that were free. */
  readonly ports: readonly PublishedPort[]
  /** What comes to them gets to this address of the bridge from now on. */
  leadTo(address: string): void
}

/** @throws NETWORK_UNAVAILABLE for a port that somebody else has */
export async function holdPorts(asked: readonly PublishedPort[]): Promise<HeldPorts> {
  const relays = await openPortRelays(asked)
  const held = new AsyncDisposableStack()
  held.use(relays)
  return {
    ports: relays.ports,
    leadTo(address) {
      relays.leadTo(address)
      held.use(translatePorts(relays.ports, address))
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

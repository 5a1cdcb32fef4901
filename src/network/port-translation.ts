// Published ports once more, in the packet filter: what comes from other machines gets to the container with its sender's
// address. The sockets of port-relay.ts hold the ports and serve the host itself; an element here goes by itself when nobody
// renews it, so that a killed relay leads nobody astray for long.

import { publishedMap, routingTable } from './bridge-guard.ts'
import { parseIpv4 } from './ipv4.ts'
import { encodeMessages, type NetlinkMessage } from './netlink.ts'
import { transaction } from './nft-messages.ts'
import { addPublished, type PublishedElement, removePublished } from './nft-sets.ts'
import type { PortEntries, PublishedPort } from './port-relay.ts'

const protocolNumber = { tcp: 6, udp: 17 } as const

/** Three times as long as the relay waits between two renewals. */
const expiresAfterMs = 60_000

/** What leads ports that are published on all addresses to a container, in the tables of its bridge. */
export function portEntries(
  table: string,
  ports: readonly PublishedPort[],
  address: string,
): PortEntries {
  const elements = ports
    .filter(({ hostAddress }) => hostAddress === '')
    .map(port => elementOf(port, address))
  if (elements.length === 0) return { renew: nothing, make: nothing, remove: nothing }
  const at = routingTable(table)
  const remove = removePublished(at, publishedMap, elements)
  const make = addPublished(at, publishedMap, { elements, timeoutMs: expiresAfterMs })
  // Adding an element that is there does not renew it on every kernel, and removing one that is not is refused.
  return { renew: bytesOf([remove, make]), make: bytesOf([make]), remove: bytesOf([remove]) }
}

const nothing = new Uint8Array(0)

function bytesOf(messages: readonly NetlinkMessage[]): Uint8Array {
  return encodeMessages(transaction(messages))
}

function elementOf(
  { protocol, hostPort, containerPort }: PublishedPort,
  to: string,
): PublishedElement {
  return {
    protocol: protocolNumber[protocol],
    port: hostPort,
    toAddress: parseIpv4(to) ?? 0,
    toPort: containerPort,
  }
}

// Published ports once more, in the packet filter: what comes from other machines gets to the container with its sender's
// address. The sockets of port-relay.ts hold the ports and serve the host itself; an element here goes by itself when nobody
// renews it, so that a killed kauri leads nobody astray for long.

import { hasErrno } from '../core/errors.ts'
import { publishedMap, routingTable } from './bridge-guard.ts'
import { parseIpv4 } from './ipv4.ts'
import { type NetlinkMessage, netlinkProtocol, netlinkRequest } from './netlink.ts'
import { transaction } from './nft-messages.ts'
import { addPublished, type PublishedElement, removePublished } from './nft-sets.ts'
import type { PublishedPort } from './port-relay.ts'

const protocolNumber = { tcp: 6, udp: 17 } as const

const expiresAfterMs = 60_000
const renewsAfterMs = 20_000

/** Leads ports that are published on all addresses to a container, until it is disposed of. Where the kernel has none of it, the sockets do. */
export function translatePorts(ports: readonly PublishedPort[], address: string): Disposable {
  const elements = ports
    .filter(({ hostAddress }) => hostAddress === '')
    .map(port => elementOf(port, address))
  if (elements.length === 0) return { [Symbol.dispose]() {} }
  renew(elements)
  const timer = setInterval(renew, renewsAfterMs, elements)
  timer.unref()
  return {
    [Symbol.dispose]() {
      clearInterval(timer)
      attempt([remove(elements)])
    },
  }
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

/** Adding an element that is there does not renew it on every kernel, and removing one that is not is refused. */
function renew(elements: readonly PublishedElement[]): void {
  const add = addPublished(routingTable, publishedMap, { elements, timeoutMs: expiresAfterMs })
  if (!attempt([remove(elements), add])) attempt([add])
}

function remove(elements: readonly PublishedElement[]): NetlinkMessage {
  return removePublished(routingTable, publishedMap, elements)
}

/** False where the elements, or the whole table, are gone: the next container makes the table again, and the timer fills it. */
function attempt(messages: readonly NetlinkMessage[]): boolean {
  try {
    netlinkRequest(netlinkProtocol.netfilter, transaction(messages))
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EEXIST')) return false
    throw error
  }
}

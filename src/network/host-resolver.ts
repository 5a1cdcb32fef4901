// Which name servers a container asks: the host's, as far as another network namespace reaches them (moby libnetwork
// resolvconf).

import { readTextSync } from '../core/text-file.ts'

export interface HostResolver {
  /** /etc/resolv.conf; empty where the host has none. */
  readonly own: string
  /** What systemd-resolved says; undefined where it does not run. */
  readonly resolved: string | undefined
}

const resolverFile = '/etc/resolv.conf'

/** Where systemd-resolved says which servers it asks, while /etc/resolv.conf names only itself. */
const resolvedFile = '/run/systemd/resolve/resolv.conf'

/** What this host has. */
export function readHostResolver(): HostResolver {
  return { own: readTextSync(resolverFile) ?? '', resolved: readTextSync(resolvedFile) }
}

/** Docker's choice where the host names nobody who can be reached from another network namespace. */
const publicServers = 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'

const serverLine = /^\s*nameserver\s+(\S+)/
const loopbackAddress = /^(?:127\.|::1$)/

/** Text for /etc/resolv.conf, with the servers that the network reaches. */
export function resolverText(
  network: 'none' | 'host' | 'bridge',
  { own, resolved }: HostResolver,
): string {
  if (network === 'host') return own
  const asksResolved = serversOf(own).join() === '127.0.0.53'
  const text = (asksResolved ? resolved : undefined) ?? own
  const lines = text.split('\n').filter(line => !loopbackAddress.test(serverOf(line) ?? ''))
  const kept = lines.join('\n')
  if (serversOf(kept).length > 0 || network === 'none') return kept
  return `${kept.trimEnd()}\n${publicServers}`.trimStart()
}

function serverOf(line: string): string | undefined {
  return serverLine.exec(line)?.[1]
}

function serversOf(text: string): string[] {
  return text.split('\n').flatMap(line => serverOf(line) ?? [])
}

// /etc/hostname, /etc/hosts and /etc/resolv.conf of a container: files of its own that are mounted over the image's, so
// they work whatever the image has there: nothing, a file, or a link to nowhere.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'
import { hostGateway, type ResolverRequest } from './container.ts'

export interface NetworkFilesRequest {
  /** Host directory that the files are written to. */
  readonly directory: string
  readonly hostname: string
  readonly network: 'none' | 'host' | 'bridge'
  /** The container's own address and the host's beside it, where it has them. */
  readonly interface?: { readonly address: string; readonly gateway: string } | undefined
  /** `NAME:ADDRESS`, the address may be hostGateway. */
  readonly extraHosts: readonly string[]
  readonly resolver?: ResolverRequest
  readonly readOnly: boolean
}

/** Writes the three files and returns their mounts. */
export function makeNetworkFiles(request: NetworkFilesRequest): RuntimeMount[] {
  const files = {
    hostname: `${request.hostname}\n`,
    hosts: hostsText(request),
    'resolv.conf': resolverText(hostResolver(request.network), request.network, request.resolver),
  }
  return Object.entries(files).map(([name, text]) => {
    const source = path.join(request.directory, name)
    writeFileSync(source, text, { mode: 0o644 })
    return {
      destination: `/etc/${name}`,
      type: 'bind',
      source,
      options: ['bind', 'rprivate', 'dest-nofollow', request.readOnly ? 'ro' : 'rw'],
    }
  })
}

/** On the host's network the host's own table, unless the caller adds to it. */
function hostsText(request: NetworkFilesRequest): string {
  const { network, extraHosts, hostname } = request
  if (network === 'host' && extraHosts.length === 0)
    return readTextSync('/etc/hosts') ?? loopbackHosts
  const extra = extraHosts.map(entry => {
    const colon = entry.indexOf(':')
    const address = entry.slice(colon + 1)
    return `${address === hostGateway ? gatewayOf(request) : address}\t${entry.slice(0, colon)}\n`
  })
  const own =
    request.interface === undefined ? '' : `${request.interface.address}\t${namesOf(hostname)}\n`
  return loopbackHosts + extra.join('') + own
}

function gatewayOf({ network, interface: own }: NetworkFilesRequest): string {
  if (network === 'host') return '127.0.0.1'
  if (own !== undefined) return own.gateway
  throw new KauriError('USAGE', `${hostGateway} stands for no address without a network`, {
    hint: 'use --network bridge',
  })
}

/** A name with a domain is also known without it. */
function namesOf(hostname: string): string {
  const [short = ''] = hostname.split('.')
  return short === hostname ? hostname : `${hostname} ${short}`
}

const loopbackHosts = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`

/** Where systemd-resolved lists the servers that it asks itself. */
const upstreamFile = '/run/systemd/resolve/resolv.conf'

/** The host's resolver, or what stands behind it where it listens on the host's loopback alone. */
function hostResolver(network: NetworkFilesRequest['network']): string {
  const text = readTextSync('/etc/resolv.conf') ?? ''
  if (network === 'host' || hasServer(withoutLoopback(text))) return text
  return readTextSync(upstreamFile) ?? text
}

const loopbackServer = /^\s*nameserver\s+(?:127\.|::1\s*(?:$|#))/
const anyServer = /^\s*nameserver\s+\S/m

function withoutLoopback(text: string): string {
  return text
    .split('\n')
    .filter(line => !loopbackServer.test(line))
    .join('\n')
}

/** True where a resolv.conf names a server. */
export function hasServer(text: string): boolean {
  return anyServer.test(text)
}

/**
 * What programs in the container ask: the caller's servers, else the host's; those on the host's loopback answer nobody
 * in another network namespace and are left out.
 */
export function resolverText(
  hostText: string,
  network: NetworkFilesRequest['network'],
  asked: ResolverRequest = {},
): string {
  const kept = network === 'host' ? hostText : withoutLoopback(hostText)
  const { servers = [], search = [], options = [] } = asked
  if (servers.length + search.length + options.length === 0) return kept
  const keptOf = (keyword: string): string =>
    kept
      .split('\n')
      .filter(line => line.trim().split(/\s+/)[0] === keyword)
      .map(line => `${line.trim()}\n`)
      .join('')
  // A single dot is docker's way to say that there is no search domain.
  const domains = search.filter(domain => domain !== '.')
  return [
    servers.length > 0
      ? servers.map(server => `nameserver ${server}\n`).join('')
      : keptOf('nameserver'),
    search.length > 0
      ? domains.length > 0
        ? `search ${domains.join(' ')}\n`
        : ''
      : keptOf('search'),
    options.length > 0 ? `options ${options.join(' ')}\n` : keptOf('options'),
  ].join('')
}

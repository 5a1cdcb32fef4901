// /etc/hostname, /etc/hosts and /etc/resolv.conf of a container: files of its own that are mounted over the image's, so
// they work whatever the image has there: nothing, a file, or a link to nowhere.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'
import { readHostResolver, resolverText } from '../network/host-resolver.ts'
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
    'resolv.conf': resolverOf(request.network, request.resolver),
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

/** The host's servers, domains and options, unless the caller says otherwise. */
function resolverOf(
  network: NetworkFilesRequest['network'],
  { servers = [], search = [], options = [] }: ResolverRequest = {},
): string {
  const host = resolverText(network, readHostResolver())
  if (servers.length + search.length + options.length === 0) return host
  // A single dot is docker's way to say that there is no search domain.
  const domains = search.filter(domain => domain !== '.')
  return [
    ...(servers.length > 0
      ? servers.map(server => `nameserver ${server}`)
      : linesOf(host, 'nameserver')),
    ...(search.length === 0 ? linesOf(host, 'search') : []),
    ...(domains.length > 0 ? [`search ${domains.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : linesOf(host, 'options')),
    '',
  ].join('\n')
}

function linesOf(text: string, keyword: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line.split(/\s+/)[0] === keyword)
}

// /etc/hostname, /etc/hosts and /etc/resolv.conf of a container: files of its own that are mounted over the image's, so
// they work whatever the image has there: nothing, a file, or a link to nowhere.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import { readHostResolver, resolverText } from '../network/host-resolver.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'
import { hostGateway, type ResolverRequest } from './container.ts'
import type { ContainerNetwork } from './container-network.ts'

export interface NetworkFilesRequest {
  /** Host directory that the files are written to. */
  readonly directory: string
  readonly hostname: string
  readonly domainname?: string | undefined
  readonly network: Pick<ContainerNetwork, 'mode' | 'endpoints' | 'servers'>
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
    'resolv.conf': resolverOf(request),
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
  const { network, extraHosts } = request
  if (network.mode === 'host' && extraHosts.length === 0)
    return readTextSync('/etc/hosts') ?? loopbackHosts
  const extra = extraHosts.map(entry => {
    const colon = entry.indexOf(':')
    const address = entry.slice(colon + 1)
    return `${address === hostGateway ? gatewayOf(request) : address}\t${entry.slice(0, colon)}\n`
  })
  const own = network.endpoints.map(({ address }) => `${address}\t${namesOf(request)}\n`)
  return loopbackHosts + extra.join('') + own.join('')
}

function gatewayOf({ network }: NetworkFilesRequest): string {
  if (network.mode === 'host') return '127.0.0.1'
  const [gateway] = network.endpoints.flatMap(endpoint => endpoint.gateway ?? [])
  if (gateway !== undefined) return gateway
  throw new KauriError('USAGE', `${hostGateway} stands for no address without a way to the host`, {
    hint: 'use --network bridge',
  })
}

/** A name with a domain is also known without it. */
function namesOf({ hostname, domainname }: NetworkFilesRequest): string {
  const whole = domainname === undefined ? hostname : `${hostname}.${domainname}`
  const [short = ''] = hostname.split('.')
  return short === whole ? whole : `${whole} ${short}`
}

const loopbackHosts = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`

/** The network's own server or the host's, with the host's domains and options, unless the caller says otherwise. */
function resolverOf({ network, resolver = {} }: NetworkFilesRequest): string {
  const { search = [], options: asked = [] } = resolver
  // A network's own server asks those that the caller named.
  const servers = network.servers ?? resolver.servers ?? []
  const options = network.servers !== undefined && asked.length === 0 ? ['ndots:0'] : asked
  const host = resolverText(network.mode, readHostResolver())
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

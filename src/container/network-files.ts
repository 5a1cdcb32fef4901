// /etc/hostname, /etc/hosts and /etc/resolv.conf of a container: files of its own that are mounted over the image's, so
// they work whatever the image has there: nothing, a file, or a link to nowhere.

import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { readTextSync } from '../core/text-file.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'

export interface NetworkFilesRequest {
  /** Host directory that the files are written to. */
  readonly directory: string
  readonly hostname: string
  readonly network: 'none' | 'host'
  /** `NAME:ADDRESS` */
  readonly extraHosts: readonly string[]
  readonly readOnly: boolean
}

/** Writes the three files and returns their mounts. */
export function makeNetworkFiles(request: NetworkFilesRequest): RuntimeMount[] {
  const files = {
    hostname: `${request.hostname}\n`,
    hosts: hostsText(request),
    'resolv.conf': resolverText(readTextSync('/etc/resolv.conf') ?? '', request.network),
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
function hostsText({ network, extraHosts }: NetworkFilesRequest): string {
  if (network === 'host' && extraHosts.length === 0)
    return readTextSync('/etc/hosts') ?? loopbackHosts
  const extra = extraHosts.map(entry => {
    const colon = entry.indexOf(':')
    return `${entry.slice(colon + 1)}\t${entry.slice(0, colon)}\n`
  })
  return loopbackHosts + extra.join('')
}

const loopbackHosts = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`

const loopbackServer = /^\s*nameserver\s+(?:127\.|::1\s*(?:$|#))/

/** The host's resolvers; those on the host's loopback answer nobody in another network namespace and are left out. */
export function resolverText(hostText: string, network: 'none' | 'host'): string {
  if (network === 'host') return hostText
  return hostText
    .split('\n')
    .filter(line => !loopbackServer.test(line))
    .join('\n')
}

// /etc/hosts and /etc/resolv.conf of a RUN instruction: read-only files of its own over whatever the image has there, also
// over links. Nothing of them stays (BuildKit executor/oci: the same texts).

import { chmodSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { readHostResolver, resolverText } from '../../network/host-resolver.ts'
import type { RuntimeMount } from '../../oci/runtime-config.ts'

export interface NameFilesRequest {
  /** Host directory that the files are written to. */
  readonly directory: string
  readonly hostname: string
  readonly network: 'none' | 'host' | 'bridge'
  /** The host's address on the bridge: what `host-gateway` stands for. */
  readonly gateway?: string | undefined
  /** `NAME:ADDRESS` */
  readonly extraHosts: readonly string[]
}

/** Writes the files and says how they are mounted. */
export function nameFileMounts(request: NameFilesRequest): RuntimeMount[] {
  const resolver = resolverText(request.network, readHostResolver())
  const files = { hosts: hostsText(request), 'resolv.conf': resolver }
  return Object.entries(files).map(([name, text]) => {
    const source = path.join(request.directory, name)
    writeFileSync(source, text)
    // Whatever the umask is: the step's user may be anybody.
    chmodSync(source, 0o644)
    const options = ['bind', 'ro', 'nosuid', 'nodev', 'noexec', 'dest-nofollow']
    return { type: 'bind', source, destination: `/etc/${name}`, options }
  })
}

/** The build's own table. */
export function hostsText({
  hostname,
  extraHosts,
  gateway,
}: Omit<NameFilesRequest, 'directory' | 'network'>): string {
  const extra = extraHosts.map(entry => {
    const colon = entry.indexOf(':')
    const address = entry.slice(colon + 1).replace(/^\[(.*)\]$/, '$1')
    const meant = address === 'host-gateway' ? (gateway ?? '127.0.0.1') : address
    return `${meant}\t${entry.slice(0, colon)}\n`
  })
  return [
    `127.0.0.1\tlocalhost ${hostname}\n`,
    '::1\tlocalhost ip6-localhost ip6-loopback\n',
    ...extra,
  ].join('')
}

// Where a repository's bytes come from: the mirrors of registries.conf in their order, then the registry itself.

import { KauriError } from '../core/errors.ts'
import type { HostEntry, HostsFile, HostsFiles } from './hosts-toml.ts'
import type { RegistriesConf, RegistryEntry } from './registries-conf.ts'
import type { RepositoryName } from './registry.ts'
import { apiHost, canonicalRegistry, isLoopbackHost } from './registry-host.ts'

/** One place to ask. */
export interface Endpoint {
  /** Host and perhaps port, as connections and certificates name it. */
  readonly host: string
  readonly repository: string
  /** Whose credentials it gets. */
  readonly name: RepositoryName
  /** Certificates are not checked, and plain http is taken. */
  readonly insecure: boolean
  /** Plain http is taken where https is not spoken. */
  readonly allowsHttp: boolean
  /** What may be asked by: a mirror may be trusted with digests only. */
  readonly pulls: 'all' | 'digest-only' | 'tag-only'
  /** Path of the API, `/v2` nearly always. */
  readonly apiRoot: string
  /** Settings of its own say http, so that nothing else is tried. */
  readonly isHttp?: boolean
  /** Sent with each request to it. */
  readonly headers?: Readonly<Record<string, string>>
  /** The registry that a mirror is asked for, where it may stand for several (containerd's `ns`). */
  readonly namespace?: string
  /** Files of certificates, in place of those of the registry's directory. */
  readonly tls?: Pick<HostEntry, 'authorities' | 'client'>
}

/** `/v2/team/app`, where manifests, blobs and tags of a repository are. */
export function repositoryPath({ apiRoot, repository }: Endpoint): string {
  return `${apiRoot}/${repository}`
}

export interface Endpoints {
  /** Takes everything that changes something. */
  readonly primary: Endpoint
  /** The mirrors, then the primary one. */
  readonly forPulls: readonly Endpoint[]
}

export interface EndpointOptions {
  readonly tlsVerify?: boolean | undefined
  readonly hosts?: HostsFiles
}

/** @throws REGISTRY_DENIED where the configuration blocks the name */
export function endpointsOf(
  name: RepositoryName,
  conf: RegistriesConf,
  { tlsVerify = true, hosts = new Map() }: EndpointOptions = {},
): Endpoints {
  const full = `${name.registry}/${name.repository}`
  const entry = entryFor(full, conf)
  if (entry?.blocked)
    throw new KauriError('REGISTRY_DENIED', `registries.conf blocks ${entry.prefix}`, {
      hint: 'take blocked = true out of registries.conf, or use another name',
    })
  const at = (
    location: string | undefined,
    insecure: boolean,
    pulls: Endpoint['pulls'],
  ): Endpoint =>
    endpointAt(location === undefined ? full : relocated(full, entry, location), {
      insecure: insecure || !tlsVerify,
      pulls,
    })
  const file = entry === undefined ? hostsFor(name, hosts) : undefined
  if (file !== undefined)
    return endpointsOfHosts(name, file, at(undefined, false, 'all'), tlsVerify)
  const primary = at(entry?.location, entry?.insecure ?? false, 'all')
  const mirrors = (entry?.mirrors ?? []).map(({ location, insecure, pulls }) =>
    at(location, insecure, pulls),
  )
  return { primary, forPulls: [...mirrors, primary] }
}

function hostsFor({ registry }: RepositoryName, hosts: HostsFiles): HostsFile | undefined {
  return hosts.get(registry) ?? hosts.get('_default')
}

function endpointsOfHosts(
  name: RepositoryName,
  { server, mirrors }: HostsFile,
  usual: Endpoint,
  tlsVerify: boolean,
): Endpoints {
  const at = (entry: HostEntry, pulls: Endpoint['pulls']): Endpoint => {
    const { host, pathname: apiRoot, protocol, hostname } = entry.url
    const isItself = host === usual.host
    return {
      host,
      repository: name.repository,
      name: isItself ? name : { registry: canonicalRegistry(host), repository: name.repository },
      insecure: entry.skipVerify || !tlsVerify,
      allowsHttp: protocol === 'http:' || !tlsVerify || isLoopbackHost(hostname),
      pulls,
      apiRoot,
      isHttp: protocol === 'http:',
      headers: entry.headers,
      ...(isItself ? {} : { namespace: name.registry }),
      tls: entry,
    }
  }
  const primary = server === undefined ? usual : at(server, 'all')
  const forPulls = mirrors.flatMap(entry => (entry.pulls === 'none' ? [] : at(entry, entry.pulls)))
  return { primary, forPulls: [...forPulls, primary] }
}

/** The one with the longest prefix. */
function entryFor(full: string, { entries }: RegistriesConf): RegistryEntry | undefined {
  let best: RegistryEntry | undefined
  for (const entry of entries)
    if (matches(full, entry.prefix) && entry.prefix.length > (best?.prefix.length ?? 0))
      best = entry
  return best
}

/** A prefix ends where a word of the path ends; `*.` stands for any number of subdomains. */
function matches(full: string, prefix: string): boolean {
  if (prefix.startsWith('*.')) {
    const host = full.slice(0, full.indexOf('/'))
    return host.endsWith(prefix.slice(1)) && host.length > prefix.length - 1
  }
  return full === prefix || full.startsWith(`${prefix}/`)
}

function relocated(full: string, entry: RegistryEntry | undefined, location: string): string {
  const prefix = entry?.prefix ?? ''
  const length = prefix.startsWith('*.') ? full.indexOf('/') : prefix.length
  return `${location}${full.slice(length)}`
}

function endpointAt(
  full: string,
  { insecure, pulls }: Pick<Endpoint, 'insecure' | 'pulls'>,
): Endpoint {
  const slash = full.indexOf('/')
  const registry = canonicalRegistry(full.slice(0, slash))
  const repository = full.slice(slash + 1)
  const host = apiHost(registry)
  const { hostname } = new URL(`https://${host}`)
  return {
    host,
    repository,
    name: { registry, repository },
    insecure,
    allowsHttp: insecure || isLoopbackHost(hostname),
    pulls,
    apiRoot: '/v2',
  }
}

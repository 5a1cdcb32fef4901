// containerd's way to say how a registry is reached: certs.d/HOST/hosts.toml, as nerdctl and others read it from
// /etc/containerd and the user's own configuration. It counts where registries.conf says nothing about a name; the file of
// `_default` counts for registries without one of their own. Pushes go to `server` alone, never to a mirror.

import { readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import {
  documentPlace,
  type JsonPlace,
  listOf,
  mapOf,
  objectReader,
  type ReadJson,
  readBoolean,
  readMembers,
  readText,
} from '../oci/json-shape.ts'
import { parseToml } from './parse-toml.ts'
import type { RegistryOptions } from './registry.ts'
import { canonicalRegistry } from './registry-host.ts'

/** One place that has a registry's content, or is the registry. */
export interface HostEntry {
  /** With the beginning of the path where the API is, such as `/v2`. */
  readonly url: URL
  readonly pulls: 'all' | 'digest-only' | 'tag-only' | 'none'
  readonly skipVerify: boolean
  /** Files of authorities, in place of those of the machine. */
  readonly authorities: readonly string[]
  /** Files of a certificate and its key; both in one where there is no second. */
  readonly client: { readonly certificate: string; readonly key: string } | undefined
  readonly headers: Readonly<Record<string, string>>
}

export interface HostsFile {
  /** undefined: the registry itself, as it is reached without the file. */
  readonly server: HostEntry | undefined
  readonly mirrors: readonly HostEntry[]
}

/** By the registry's name, or `_default`. */
export type HostsFiles = ReadonlyMap<string, HostsFile>

const mostDirectories = 1000

/** Reads the files; a machine without any is the usual one. @throws USAGE with the file where one is wrong */
export async function readHostsFiles({
  environment,
}: Pick<RegistryOptions, 'environment'>): Promise<HostsFiles> {
  const files = new Map<string, HostsFile>()
  for (const root of certificateRoots(environment)) {
    for (const name of directoriesIn(root).slice(0, mostDirectories)) {
      const registry = registryOfDirectory(name)
      const file = path.join(root, name, 'hosts.toml')
      const text = files.has(registry) ? undefined : readTextSync(file)
      if (text !== undefined) files.set(registry, await parseHostsFile(text, file))
    }
  }
  return files
}

/** The user's own come first. */
function certificateRoots(environment: RegistryOptions['environment']): string[] {
  const home = environment['HOME'] ?? homedir()
  const config = environment['XDG_CONFIG_HOME'] ?? path.join(home, '.config')
  return [path.join(config, 'containerd/certs.d'), '/etc/containerd/certs.d']
}

function directoriesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted()
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return []
    throw error
  }
}

/** `example.org_5000_` stands for a port where a file system has no colons. */
function registryOfDirectory(name: string): string {
  return canonicalRegistry(name.replace(/_(\d{1,5})_$/, ':$1'))
}

/** Reads one file's text. @throws USAGE with the file, and the line where it is no TOML */
export async function parseHostsFile(text: string, file: string): Promise<HostsFile> {
  const document = await parseToml(text, file)
  const place = documentPlace(file, 'USAGE')
  const members = objectReader(document, place)
  const server = members.optional('server', readText)
  const hosts = members.optional('host', readMembers) ?? {}
  const directory = path.dirname(file)
  return {
    server:
      server === undefined ? undefined : readHost({ address: server, directory }, document, place),
    mirrors: Object.entries(hosts).map(([address, value]) =>
      readHost({ address, directory }, value, { ...place, path: `host."${address}"` }),
    ),
  }
}

interface HostPlace {
  readonly address: string
  /** Where relative names of files begin. */
  readonly directory: string
}

function readHost({ address, directory }: HostPlace, value: unknown, place: JsonPlace): HostEntry {
  const members = objectReader(value, place)
  const capabilities = members.optional('capabilities', listOf(readText)) ?? ['pull', 'resolve']
  const inDirectory = (file: string): string => path.resolve(directory, file)
  return {
    url: apiAddress(address, members.optional('override_path', readBoolean) ?? false, place),
    pulls: pullsOf(capabilities),
    skipVerify: members.optional('skip_verify', readBoolean) ?? false,
    authorities: (members.optional('ca', readTexts) ?? []).map(inDirectory),
    client: readClient(members.optional('client', readPairs), inDirectory),
    headers: Object.fromEntries(
      Object.entries(members.optional('header', mapOf(readTexts)) ?? {}).map(([name, texts]) => [
        headerWord(name, place),
        headerWord(texts.join(', '), place),
      ]),
    ),
  }
}

/** The API is below /v2 of an address, or at the address itself. */
function apiAddress(address: string, isWhole: boolean, place: JsonPlace): URL {
  const text = /^[a-z]+:\/\//.test(address) ? address : `https://${address}`
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw wrongHost(place, `expected the address of a registry, got "${address.slice(0, 100)}"`)
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw wrongHost(place, `${url.origin} has more than a host and a path`)
  const base = url.pathname.replace(/\/+$/, '')
  url.pathname = isWhole || base.endsWith('/v2') ? base : `${base}/v2`
  return url
}

function pullsOf(capabilities: readonly string[]): HostEntry['pulls'] {
  const [canPull, canResolve] = ['pull', 'resolve'].map(word => capabilities.includes(word))
  if (canPull) return canResolve ? 'all' : 'digest-only'
  return canResolve ? 'tag-only' : 'none'
}

/** One text, or a list of them. */
const readTexts: ReadJson<readonly string[]> = (value, place) =>
  typeof value === 'string' ? [value] : listOf(readText)(value, place)

/** `"cert.pem"`, `["cert.pem", …]` or `[["cert.pem", "key.pem"], …]`. */
const readPairs: ReadJson<readonly (readonly string[])[]> = (value, place) =>
  typeof value === 'string' ? [[value]] : listOf(readTexts)(value, place)

/** A connection shows one certificate: the first. */
function readClient(
  pairs: readonly (readonly string[])[] | undefined,
  inDirectory: (file: string) => string,
): HostEntry['client'] {
  const [certificate, key] = pairs?.[0] ?? []
  if (certificate === undefined) return undefined
  const [first, second] = [certificate, key ?? certificate].map(inDirectory)
  return { certificate: first ?? certificate, key: second ?? certificate }
}

/** A line break in a header would begin another one. */
function headerWord(text: string, place: JsonPlace): string {
  if (/^[\t\u0020-\u007e]*$/.test(text)) return text
  throw wrongHost(place, 'a header has characters beyond ASCII')
}

function wrongHost(place: JsonPlace, reason: string): KauriError {
  return new KauriError('USAGE', `${place.document}: ${place.path}: ${reason}`)
}

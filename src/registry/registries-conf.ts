// registries.conf version 2, as podman and skopeo read it: where names lead to, which mirrors there are, what is blocked.
// The user's file replaces the machine's; files of registries.conf.d/ are laid over it in the order of their names.

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
  readText,
} from '../oci/json-shape.ts'
import { parseToml } from './parse-toml.ts'
import type { RegistryOptions } from './registry.ts'

/** A copy of a registry, or of a part of it. */
export interface Mirror {
  readonly location: string
  readonly insecure: boolean
  readonly pulls: 'all' | 'digest-only' | 'tag-only'
}

/** What holds for the names that begin with a prefix. */
export interface RegistryEntry {
  /** A host, a host with the beginning of a path, or `*.` and a domain. */
  readonly prefix: string
  /** What the prefix is replaced by; undefined: nothing. */
  readonly location: string | undefined
  readonly insecure: boolean
  readonly blocked: boolean
  readonly mirrors: readonly Mirror[]
}

export interface RegistriesConf {
  readonly entries: readonly RegistryEntry[]
  /** Full names by short ones. */
  readonly aliases: ReadonlyMap<string, string>
  readonly credentialHelpers: readonly string[]
}

/** Nothing is configured. */
export const emptyConf: RegistriesConf = {
  entries: [],
  aliases: new Map(),
  credentialHelpers: [],
}

/** Reads the files; a machine without any is the usual one. @throws USAGE with the file where one is wrong */
export async function readRegistriesConf(
  options: Pick<RegistryOptions, 'environment'>,
): Promise<RegistriesConf> {
  const files = confFiles(options.environment)
  let conf = emptyConf
  for (const file of files) {
    const text = readTextSync(file)
    if (text !== undefined) conf = mergeConf(conf, await parseRegistriesConf(text, file))
  }
  return conf
}

function confFiles(environment: RegistryOptions['environment']): string[] {
  const named = environment['CONTAINERS_REGISTRIES_CONF']
  const home = environment['HOME'] ?? homedir()
  const own = path.join(environment['XDG_CONFIG_HOME'] ?? path.join(home, '.config'), 'containers')
  const system = '/etc/containers'
  if (named !== undefined && named !== '') return [named]
  const ownFile = path.join(own, 'registries.conf')
  const first = isThere(ownFile) ? ownFile : path.join(system, 'registries.conf')
  return [first, ...dropIns(system), ...dropIns(own)]
}

function isThere(file: string): boolean {
  return readTextSync(file) !== undefined
}

function dropIns(directory: string): string[] {
  const folder = path.join(directory, 'registries.conf.d')
  try {
    return readdirSync(folder)
      .filter(name => name.endsWith('.conf'))
      .toSorted()
      .map(name => path.join(folder, name))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return []
    throw error
  }
}

/** A later file's entry for a prefix, alias or list replaces the earlier one. */
function mergeConf(below: RegistriesConf, above: RegistriesConf): RegistriesConf {
  const prefixes = new Set(above.entries.map(({ prefix }) => prefix))
  return {
    entries: [...below.entries.filter(({ prefix }) => !prefixes.has(prefix)), ...above.entries],
    aliases: new Map([...below.aliases, ...above.aliases]),
    credentialHelpers:
      above.credentialHelpers.length > 0 ? above.credentialHelpers : below.credentialHelpers,
  }
}

const maxConfLength = 1024 * 1024

/** Reads one file's text. @throws USAGE with the file, and the line where it is no TOML */
export async function parseRegistriesConf(text: string, file: string): Promise<RegistriesConf> {
  if (text.length > maxConfLength)
    throw new KauriError('USAGE', `${file} has more than ${maxConfLength} characters`)
  // Most machines configure nothing; the parser takes some milliseconds to load.
  if (/^(?:\s*(?:#.*)?\n)*\s*(?:#.*)?$/.test(text)) return emptyConf
  const place = documentPlace(file, 'USAGE')
  const members = objectReader(await parseToml(text, file), place)
  if (members.optional('registries', value => value) !== undefined)
    throw new KauriError('UNSUPPORTED', `${file} is in version 1 of its format`, {
      hint: 'write [[registry]] tables, see containers-registries.conf(5)',
    })
  return {
    entries: members.optional('registry', listOf(readEntry)) ?? [],
    aliases: new Map(Object.entries(members.optional('aliases', mapOf(readText)) ?? {})),
    credentialHelpers: members.optional('credential-helpers', listOf(readText)) ?? [],
  }
}

const readEntry: ReadJson<RegistryEntry> = (value, place) => {
  const members = objectReader(value, place)
  const location = members.optional('location', readLocation)
  const prefix = members.optional('prefix', readPrefix) ?? location
  if (prefix === undefined)
    throw new KauriError(
      'USAGE',
      `${place.document}: ${place.path} has neither prefix nor location`,
    )
  if (prefix.startsWith('*.') && members.optional('prefix', readText) === undefined)
    throw new KauriError('USAGE', `${place.document}: ${place.path}.location begins with *.`)
  const digestOnly = members.optional('mirror-by-digest-only', readBoolean) ?? false
  const mirrors = members.optional('mirror', listOf(readMirror)) ?? []
  return {
    prefix,
    location,
    insecure: members.optional('insecure', readBoolean) ?? false,
    blocked: members.optional('blocked', readBoolean) ?? false,
    mirrors: mirrors.map(mirror =>
      digestOnly && mirror.pulls === 'all' ? { ...mirror, pulls: 'digest-only' } : mirror,
    ),
  }
}

const readMirror: ReadJson<Mirror> = (value, place) => {
  const members = objectReader(value, place)
  return {
    location: members.required('location', readLocation),
    insecure: members.optional('insecure', readBoolean) ?? false,
    pulls: members.optional('pull-from-mirror', readPulls) ?? 'all',
  }
}

const readPulls: ReadJson<Mirror['pulls']> = (value, place) => {
  if (value === 'all' || value === 'digest-only' || value === 'tag-only') return value
  throw wrongValue(place, 'all, digest-only or tag-only', value)
}

const hostForm = /^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:]+\])(?::\d+)?$/

/** A host and perhaps a path; files of other programs end it with a slash at times. */
const readLocation: ReadJson<string> = (value, place) => {
  const text = readText(value, place).replace(/\/+$/, '')
  const [host = '', ...words] = text.split('/')
  const isPath = words.every(word => /^[a-zA-Z0-9._-]+$/.test(word) && !/^\.{1,2}$/.test(word))
  if (hostForm.test(host) && isPath) return text
  throw wrongValue(place, 'a host and perhaps a path, without https://', value)
}

const readPrefix: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  return text.startsWith('*.')
    ? `*.${readLocation(text.slice(2), place)}`
    : readLocation(text, place)
}

function wrongValue(place: JsonPlace, expected: string, value: unknown): KauriError {
  const got = JSON.stringify(value)?.slice(0, 80) ?? 'nothing'
  return new KauriError(
    'USAGE',
    `${place.document}: ${place.path}: expected ${expected}, got ${got}`,
  )
}

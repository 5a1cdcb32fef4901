// The package lists of one set of repositories, kept between builds: equal sets share a directory, so that a build asks
// only for what changed. Who updates holds the set's lock alone; who reads shares it.

import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import type { AptSetting } from './apt-config.ts'
import type { RepositorySource } from './apt-repositories.ts'
import { type AptSource, formatSource } from './apt-sources.ts'

/** A repository with the keys that the request names as one binary keyring; they come on top of what the source itself says. */
export interface KeyedSource extends RepositorySource {
  readonly keyring?: Buffer | undefined
}

export interface AptListSet {
  readonly directory: string
  readonly lockFile: string
  readonly sources: readonly KeyedSource[]
  /** What apt must be told to work on this set. */
  readonly settings: readonly AptSetting[]
}

export interface ListSetOptions {
  readonly cacheDirectory: string
  readonly sources: readonly KeyedSource[]
  /** Debian names, the native one first. */
  readonly architectures: readonly string[]
}

/** The set's directory, made where it is missing. Its name is a hash of the sources, so its content never differs. */
export async function openListSet(options: ListSetOptions): Promise<AptListSet> {
  const sources = mergeSources(options.sources)
  const rendered = sources.map(source => formatSource(renderable(source, '')))
  const hash = createHash('sha256')
  for (const part of [...options.architectures, ...rendered]) hash.update(`${part}\0`)
  const directory = path.join(options.cacheDirectory, 'sets', hash.digest('hex').slice(0, 40))
  const sourcesDirectory = path.join(directory, 'sources')
  for (const place of [sourcesDirectory, path.join(directory, 'lists', 'partial')])
    await mkdir(place, { recursive: true, mode: 0o755 })
  for (const content of sources.flatMap(keyContents))
    await writeOnce(path.join(directory, keyName(content)), content)
  const text = sources.map(source => formatSource(renderable(source, directory))).join('\n')
  await writeOnce(path.join(sourcesDirectory, 'kauri.sources'), Buffer.from(text))
  return {
    directory,
    lockFile: path.join(directory, 'lock'),
    sources,
    settings: [
      { name: 'Dir::Etc::sourceparts', value: sourcesDirectory },
      { name: 'Dir::State::lists', value: path.join(directory, 'lists') },
      { name: 'Dir::Cache::srcpkgcache', value: path.join(directory, 'srcpkgcache.bin') },
      { name: 'APT::Architecture', value: options.architectures[0] ?? '' },
      ...options.architectures.map(value => ({ name: 'APT::Architectures::', value })),
    ],
  }
}

/** sha256 hex over what the repositories said last: their release files, or where there is none, their lists. */
export async function listState(set: AptListSet): Promise<string> {
  const lists = path.join(set.directory, 'lists')
  const names = (await readdir(lists)).toSorted()
  const releases = names.filter(name => /_(?:In)?Release$/.test(name))
  const hash = createHash('sha256')
  for (const name of names) {
    const isList = /_Packages(?:\.[a-z0-9]+)?$/.test(name)
    const isCovered = releases.some(release =>
      name.startsWith(release.replace(/(?:In)?Release$/, '')),
    )
    if (!releases.includes(name) && !(isList && !isCovered)) continue
    hash.update(`${name}\0`).update(await readFile(path.join(lists, name)))
  }
  return hash.digest('hex')
}

/** What the last update of a set found. */
export interface ListsUpdate {
  /** Milliseconds since 1970. */
  readonly updatedMs: number
  /** Optional sources that their mirrors do not have, as `URI SUITE`. */
  readonly missing: readonly string[]
}

/** The last update; undefined where the lists were never fetched whole. */
export async function lastListsUpdate(set: AptListSet): Promise<ListsUpdate | undefined> {
  const text = await readTextIfThere(updateRecord(set))
  return text === undefined ? undefined : parseListsUpdate(text)
}

/** A record that cannot be read is none. */
function parseListsUpdate(text: string): ListsUpdate | undefined {
  const [first = '', ...missing] = text.split('\n').filter(line => line !== '')
  const updatedMs = Number(first)
  return first !== '' && Number.isFinite(updatedMs) ? { updatedMs, missing } : undefined
}

/** Remembers that the lists are up to date now. */
export async function rememberListsUpdate(set: AptListSet, update: ListsUpdate): Promise<void> {
  const lines = [String(update.updatedMs), ...update.missing]
  await writeCacheRecord(updateRecord(set), `${lines.join('\n')}\n`)
}

function updateRecord(set: AptListSet): string {
  return path.join(set.directory, 'updated')
}

/** How a source is named in messages and records. */
export function sourceName({ source }: RepositorySource): string {
  return `${source.uris.join(' ')} ${source.suites.join(' ')}`
}

/** A suite that several repositories name is one source with the components of all; apt would complain otherwise. */
function mergeSources(sources: readonly KeyedSource[]): KeyedSource[] {
  const merged = new Map<string, KeyedSource>()
  for (const entry of sources) {
    const { components: _, ...rest } = entry.source
    const key = JSON.stringify([rest, entry.keyring?.toString('base64')])
    const known = merged.get(key)
    const components = [...(known?.source.components ?? []), ...entry.source.components]
    merged.set(key, {
      ...(known ?? entry),
      source: { ...entry.source, components: [...new Set(components)] },
      isOptional: entry.isOptional && (known?.isOptional ?? true),
    })
  }
  return [...merged.values()]
}

/** The source with its keys as files of the set. */
function renderable(entry: KeyedSource, directory: string): AptSource {
  const { source } = entry
  const contents = keyContents(entry)
  if (contents.length === 0) return source
  const references = source.signedBy?.kind === 'references' ? source.signedBy.values : []
  const own = contents.map(content => path.join(directory, keyName(content)))
  return { ...source, signedBy: { kind: 'references', values: [...references, ...own] } }
}

function keyContents({ source, keyring }: KeyedSource): Buffer[] {
  const inline = source.signedBy?.kind === 'inline' ? [Buffer.from(source.signedBy.armored)] : []
  return keyring === undefined ? inline : [...inline, keyring]
}

function keyName(content: Buffer): string {
  const extension = content.includes('-----BEGIN PGP') ? 'asc' : 'gpg'
  return `key-${createHash('sha256').update(content).digest('hex').slice(0, 16)}.${extension}`
}

/** Files of a set do not change, and apt rebuilds its cache where their times do. */
async function writeOnce(file: string, content: Buffer): Promise<void> {
  const there = await stat(file).catch(() => undefined)
  if (there?.size === content.length) return
  await writeCacheRecord(file, content)
}

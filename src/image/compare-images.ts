// In what two images differ: files, configuration and packages.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { TarEntryType } from '../layer/tar-entry.ts'
import type { DiffId } from '../oci/digest.ts'
import type { Image, Layer } from './image.ts'
import {
  addLayer,
  differences,
  type FileDifference,
  type ImageTree,
  type LayerListing,
  type ListedFile,
  listLayer,
} from './layer-listing.ts'
import { type PackageList, type PackageParser, packageDatabase } from './package-list.ts'

export interface FileChange {
  /** Absolute. */
  readonly path: string
  readonly change: 'added' | 'removed' | 'changed'
  /** Of a changed file. */
  readonly differs: readonly FileDifference[]
  /** Bytes that the second image has more, negative where it has fewer. */
  readonly bytes: number
  /** In the first image. */
  readonly from?: FileState
  /** In the second one. */
  readonly to?: FileState
}

/** What is compared of a file. */
export interface FileState {
  readonly type: TarEntryType
  /** Octal, such as `0755`. */
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** SHA-256 of a regular file in hex. */
  readonly sha256?: string
  /** What a symbolic link holds. */
  readonly link?: string
  /** `MAJOR:MINOR`. */
  readonly device?: string
  /** `NAME=HEX`. */
  readonly xattrs?: readonly string[]
}

export interface PackageChange {
  readonly name: string
  readonly from: string | undefined
  readonly to: string | undefined
}

export interface ConfigChange {
  /** A member of the configuration, such as `Env` or `architecture`. */
  readonly member: string
  readonly from: unknown
  readonly to: unknown
}

export interface ImageDifference {
  readonly files: readonly FileChange[]
  readonly packages: readonly PackageChange[]
  readonly config: readonly ConfigChange[]
  /** Bytes of all files, of each image. */
  readonly bytes: readonly [number, number]
  /** Databases of packages that could not be read, and why. */
  readonly unread: readonly string[]
}

/** Reads each layer of both images once. @throws BLOB_CORRUPT, ARCHIVE_INVALID */
export async function compareImages(
  from: Image,
  to: Image,
  signal?: AbortSignal,
): Promise<ImageDifference> {
  const read = layerReader(signal)
  const before = await readImage(from, read)
  const after = await readImage(to, read)
  return {
    files: compareTrees(before.tree, after.tree),
    packages: comparePackages(before.packages, after.packages),
    config: compareConfigs(from, to),
    bytes: [bytesOf(before.tree), bytesOf(after.tree)],
    unread: [...before.unread, ...after.unread],
  }
}

interface ReadImage {
  readonly tree: ImageTree
  readonly packages: PackageList
  readonly unread: readonly string[]
}

/** Databases are read into memory; the largest ones of distributions have a quarter of this. */
const maxDatabaseBytes = 512 * 1024 * 1024

/** A layer, and what its databases of packages say. */
interface ReadLayer {
  readonly listing: LayerListing
  readonly databases: ReadonlyMap<string, PackageList | KauriError>
}

/** Images that are compared share most of their layers. */
function layerReader(signal: AbortSignal | undefined): (layer: Layer) => Promise<ReadLayer> {
  const known = new Map<DiffId, Promise<ReadLayer>>()
  return layer => {
    const reading = known.get(layer.diffId) ?? readLayer(layer, signal)
    known.set(layer.diffId, reading)
    return reading
  }
}

async function readLayer(layer: Layer, signal: AbortSignal | undefined): Promise<ReadLayer> {
  const databases = new Map<string, PackageList | KauriError>()
  const listing = await listLayer(layer, {
    signal,
    keepContent(path, sizeBytes) {
      const parse = packageDatabase(path)
      if (parse === undefined) return undefined
      if (sizeBytes <= maxDatabaseBytes)
        return content => void databases.set(path, parseOrFail(parse, content))
      const message = `it has ${sizeBytes} bytes; at most ${maxDatabaseBytes} are read`
      databases.set(path, new KauriError('ARCHIVE_INVALID', message))
      return undefined
    },
  })
  return { listing, databases }
}

/** A damaged database of packages is no reason to compare nothing. */
async function readImage(image: Image, read: ReturnType<typeof layerReader>): Promise<ReadImage> {
  const tree: ImageTree = new Map()
  const byDatabase = new Map<string, PackageList | KauriError>()
  for (const layer of image.layers) {
    const { listing, databases } = await read(layer)
    addLayer(tree, listing)
    for (const [path, list] of databases) byDatabase.set(path, list)
  }
  const packages: [string, string][] = []
  const unread: string[] = []
  for (const [path, list] of byDatabase) {
    if (!tree.has(path)) continue
    if (list instanceof KauriError) unread.push(`/${path}: ${list.message}`)
    else packages.push(...list)
  }
  return { tree, unread, packages: new Map(packages) }
}

function parseOrFail(parse: PackageParser, content: Buffer): PackageList | KauriError {
  try {
    return parse(content)
  } catch (error) {
    if (error instanceof KauriError) return error
    throw error
  }
}

function compareTrees(before: ImageTree, after: ImageTree): FileChange[] {
  const paths = [...new Set([...before.keys(), ...after.keys()])].filter(path => path !== '.')
  return paths.toSorted().flatMap((path): FileChange[] => {
    const change = compareFiles(before.get(path), after.get(path))
    return change === undefined ? [] : [{ path: `/${path}`, ...change }]
  })
}

function compareFiles(
  a: ListedFile | undefined,
  b: ListedFile | undefined,
): Omit<FileChange, 'path'> | undefined {
  const bytes = (b?.sizeBytes ?? 0) - (a?.sizeBytes ?? 0)
  const states = {
    ...(a === undefined ? {} : { from: stateOf(a) }),
    ...(b === undefined ? {} : { to: stateOf(b) }),
  }
  if (a === undefined) return { change: 'added', differs: [], bytes, ...states }
  if (b === undefined) return { change: 'removed', differs: [], bytes, ...states }
  const differs = differences(a, b)
  return differs.length === 0 ? undefined : { change: 'changed', differs, bytes, ...states }
}

function stateOf({ type, mode, uid, gid, sizeBytes, content, xattrs }: ListedFile): FileState {
  const isDevice = type === 'character' || type === 'block'
  return {
    type,
    mode: mode.toString(8).padStart(4, '0'),
    uid,
    gid,
    sizeBytes,
    ...(type === 'file' ? { sha256: content } : {}),
    ...(type === 'symlink' ? { link: content } : {}),
    ...(isDevice ? { device: content } : {}),
    ...(xattrs.length === 0 ? {} : { xattrs }),
  }
}

function comparePackages(before: PackageList, after: PackageList): PackageChange[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].toSorted()
  return names
    .map(name => ({ name, from: before.get(name), to: after.get(name) }))
    .filter(({ from, to }) => from !== to)
}

function compareConfigs(from: Image, to: Image): ConfigChange[] {
  const [before, after] = [configMembers(from), configMembers(to)]
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted()
  return members
    .map(member => ({ member, from: before[member], to: after[member] }))
    .filter(change => textOf(change.from) !== textOf(change.to))
}

function configMembers({ config }: Image): Record<string, unknown> {
  const { os, architecture, variant, author } = config
  return { os, architecture, variant, author, ...config.config }
}

function textOf(value: unknown): string {
  return value === undefined ? '' : canonicalJson(JSON.parse(JSON.stringify(value)))
}

function bytesOf(tree: ImageTree): number {
  let bytes = 0
  for (const { sizeBytes } of tree.values()) bytes += sizeBytes
  return bytes
}

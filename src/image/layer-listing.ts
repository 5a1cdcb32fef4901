// What is in an image, file by file: the entries of each layer, and the tree that they make together.

import { createHash } from 'node:crypto'
import { defaultArchiveLimits } from '../layer/layer.ts'
import type { TarEntry, TarEntryType } from '../layer/tar-entry.ts'
import { TarReader } from '../layer/tar-reader.ts'
import { parseWhiteout } from '../layer/whiteouts.ts'
import type { Layer } from './image.ts'
import { layerTarBytes } from './layer-tar.ts'

/** A file of an image; its path has no slash at either end. */
export interface ListedFile {
  readonly path: string
  readonly type: TarEntryType
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** SHA-256 of a file's bytes in hex; of other types what tells two of them apart. */
  readonly content: string
  /** `NAME=HEX` of each extended attribute, ACLs among them, by name. */
  readonly xattrs: readonly string[]
}

/** What a layer changes in those below it. */
export interface LayerListing {
  readonly files: readonly ListedFile[]
  /** Paths that it removes with all below them. */
  readonly removed: readonly string[]
  /** Directories of which nothing of the layers below shows through. */
  readonly opaque: readonly string[]
}

export interface ListOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the whole content of the files that it names. */
  readonly keepContent?: (
    path: string,
    sizeBytes: number,
  ) => ((content: Buffer) => void) | undefined
}

/** A listing is kept in memory; real images have a tenth of this. */
const listingLimits = { ...defaultArchiveLimits, maxEntries: 2_000_000 }

/** Reads a layer once. @throws BLOB_CORRUPT, ARCHIVE_INVALID */
export async function listLayer(layer: Layer, options: ListOptions = {}): Promise<LayerListing> {
  const files: ListedFile[] = []
  const removed: string[] = []
  const opaque: string[] = []
  let content: FileContent | undefined
  const onEntryEnd = (entry: TarEntry): void => {
    const { directory, name } = splitPath(entry.path)
    const whiteout = parseWhiteout(name)
    if (whiteout?.kind === 'opaque') opaque.push(directory)
    else if (whiteout?.kind === 'removed') removed.push(joinPath(directory, whiteout.name))
    else if (whiteout === undefined) files.push(listedFile(entry, content?.finish()))
  }
  const reader = new TarReader(
    {
      onEntry(entry) {
        const keep = entry.type === 'file' && options.keepContent?.(entry.path, entry.size)
        content = entry.type === 'file' ? fileContent(keep || undefined) : undefined
      },
      onData: bytes => content?.take(bytes),
      onEntryEnd,
    },
    { archive: `layer ${layer.descriptor.digest}`, limits: listingLimits },
  )
  for await (const chunk of layerTarBytes(layer, options.signal)) reader.write(chunk)
  reader.end()
  return { files, removed, opaque }
}

interface FileContent {
  take(bytes: Buffer): void
  finish(): string
}

function fileContent(keep: ((content: Buffer) => void) | undefined): FileContent {
  const hash = createHash('sha256')
  const kept: Buffer[] = []
  return {
    take(bytes) {
      hash.update(bytes)
      if (keep !== undefined) kept.push(Buffer.from(bytes))
    },
    finish() {
      keep?.(Buffer.concat(kept))
      return hash.digest('hex')
    },
  }
}

function listedFile(entry: TarEntry, content: string | undefined): ListedFile {
  const { path, type, mode, uid, gid, size, linkTarget, deviceMajor, deviceMinor } = entry
  const xattrs = [...entry.xattrs].map(([name, value]) => `${name}=${value.toString('hex')}`)
  const isDevice = type === 'character' || type === 'block'
  const device = isDevice ? `${deviceMajor}:${deviceMinor}` : linkTarget
  return {
    path,
    type,
    mode,
    uid,
    gid,
    sizeBytes: size,
    content: content ?? device,
    xattrs: xattrs.toSorted(),
  }
}

/** The tree of files that a stack of layers makes, by path. */
export type ImageTree = Map<string, ListedFile>

/** What a layer did to the tree below it, in numbers. */
export interface LayerEffect {
  readonly added: number
  readonly changed: number
  readonly removed: number
  readonly addedBytes: number
  /** Files of the layers below that this one replaces or removes; they stay in the image and nobody sees them. */
  readonly hidden: readonly ListedFile[]
}

/** Puts a layer on a tree. */
export function applyListing(tree: ImageTree, listing: LayerListing): LayerEffect {
  const hidden: ListedFile[] = []
  const gone = pathsGone(tree, listing)
  for (const path of gone) {
    const file = tree.get(path)
    if (file?.type === 'file') hidden.push(file)
    tree.delete(path)
  }
  let added = 0
  let changed = 0
  let addedBytes = 0
  for (const file of listing.files) {
    const before = tree.get(file.path)
    if (before?.type === 'file') hidden.push(before)
    if (before === undefined) added++
    else if (differences(before, file).length > 0) changed++
    addedBytes += file.sizeBytes
    tree.set(file.path, file)
  }
  return { added, changed, removed: gone.length, addedBytes, hidden }
}

/** What of the layers below a layer takes away: one look at each path, however many marks there are. */
function pathsGone(tree: ImageTree, { files, removed, opaque }: LayerListing): string[] {
  const removedPaths = new Set(removed)
  const emptied = new Set([...removed, ...opaque])
  for (const { path, type } of files)
    if (type !== 'directory' && tree.get(path)?.type === 'directory') emptied.add(path)
  if (emptied.size === 0) return []
  return [...tree.keys()].filter(path => removedPaths.has(path) || isBelowOne(path, emptied))
}

function isBelowOne(path: string, directories: ReadonlySet<string>): boolean {
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
    if (directories.has(path.slice(0, slash))) return true
  return directories.has('')
}

/** Puts a layer on a tree, hard links as what they link to: so a container sees the files. */
export function addLayer(tree: ImageTree, listing: LayerListing): void {
  applyListing(tree, listing)
  for (const file of listing.files) {
    const original = file.type === 'link' ? tree.get(file.content) : undefined
    if (original !== undefined) tree.set(file.path, { ...original, path: file.path })
  }
}

export type FileDifference = 'type' | 'mode' | 'owner' | 'content' | 'link' | 'device' | 'xattrs'

/** In what two files of the same path differ; times are left out. */
export function differences(a: ListedFile, b: ListedFile): FileDifference[] {
  const found: FileDifference[] = []
  if (a.type !== b.type) found.push('type')
  if (a.mode !== b.mode && b.type !== 'symlink') found.push('mode')
  if (a.uid !== b.uid || a.gid !== b.gid) found.push('owner')
  if (a.type === b.type && a.content !== b.content) found.push(contentOf(a))
  if (a.xattrs.join() !== b.xattrs.join()) found.push('xattrs')
  return found
}

/** What of a file is told by its `content`. */
function contentOf({ type }: ListedFile): FileDifference {
  if (type === 'symlink') return 'link'
  return type === 'character' || type === 'block' ? 'device' : 'content'
}

function splitPath(path: string): { readonly directory: string; readonly name: string } {
  const slash = path.lastIndexOf('/')
  return { directory: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) }
}

function joinPath(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}

// Writes a tree, or upper directories of an overlay, as a layer tar (image-spec v1.1.1 layer.md). Equal trees give equal
// bytes: entries in the order of their names' bytes, whole seconds, the first of several hard links is the file, no user
// names, nothing of the host's overlay or security policy.
//
// Times are whole seconds, as in docker's layers: a fraction would cost a pax header for nearly each entry, and differs
// between file systems.

import { constants } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { passedBy } from '../core/young-garbage.ts'
import { native } from '../native/native.ts'
import { walkChanges } from './change-walk.ts'
import { type Chunks, ChunkWriter } from './chunk-writer.ts'
import { hasEqualRoot } from './equal-entries.ts'
import { fileChunks } from './file-chunks.ts'
import type { PackOptions, PackSource } from './layer.ts'
import { noXattrs, type TarEntry, type TarEntryType } from './tar-entry.ts'
import { endOfArchive, formatTarHeader } from './tar-format.ts'
import { joinPath, parentOf, rootPath } from './tar-path.ts'
import { createPause } from './time-slice.ts'
import { isDirectory, statRoot, type WalkedEntry, walkTree } from './tree-walk.ts'
import { imageXattrs, overlayMarks, readRootXattrs, readXattrs } from './tree-xattrs.ts'
import { opaqueName, whiteoutPrefix } from './whiteouts.ts'

const chunkBytes = 1024 * 1024

/** What the names, numbers and headers of an entry leave behind. */
const entryGarbageBytes = 4096

/**
 * The tar in chunks of at most 1 MiB, which are the receiver's to keep unless `reuseChunks` says otherwise. A root entry `./` stands first for a whole tree, and where the root is a change.
 * @throws SNAPSHOT_INVALID where a file changes meanwhile; UNSUPPORTED for what no layer can say; CANCELLED
 */
export async function* packTree(
  source: PackSource,
  options: PackOptions = {},
): AsyncGenerator<Buffer, void> {
  const pause = createPause()
  for (const chunk of tarChunks(source, options)) {
    if (options.signal?.aborted) throw cancelled(options.signal)
    yield chunk
    passedBy(chunk.length)
    await pause()
  }
}

interface Packing {
  readonly source: PackSource
  readonly options: PackOptions
  readonly writer: ChunkWriter
  /** First path of each file that has several names. */
  readonly firstPaths: Map<string, string>
}

function* tarChunks(source: PackSource, options: PackOptions): Chunks {
  const writer = new ChunkWriter(chunkBytes, options.reuseChunks === true)
  const packing: Packing = { source, options, writer, firstPaths: new Map() }
  const isIncluded = ({ path }: WalkedEntry): boolean => options.exclude?.(path) !== true
  const root = options.withoutRoot === true ? undefined : rootToPack(source)
  if (root !== undefined) yield* writer.write(formatTarHeader(rootEntry(root, options)))
  if (source.kind === 'changes') {
    const ignoresTimes = options.setMtime !== undefined || options.clampMtime !== undefined
    for (const { walked, isGone } of walkChanges({ ...source, ignoresTimes, enters: isIncluded }))
      if (isIncluded(walked))
        yield* isGone ? whiteoutChunks(packing, walked) : entryChunks(packing, walked)
  } else {
    const roots = source.kind === 'overlay-uppers' ? source.paths : [source.path]
    const walk = walkTree({ roots, isOverlay: source.kind !== 'tree', enters: isIncluded })
    for (const walked of walk) if (isIncluded(walked)) yield* entryChunks(packing, walked)
  }
  if (options.withoutEnd !== true) yield* writer.write(endOfArchive)
  yield* writer.end()
}

/** The root directory that the layer says something of: a whole tree's, and a changed one. */
function rootToPack(source: PackSource): string | undefined {
  switch (source.kind) {
    case 'tree':
      return source.path
    case 'changes': {
      const [top] = source.paths
      return top === undefined || hasEqualRoot(top, source.below) ? undefined : top
    }
    case 'overlay-upper':
    case 'overlay-uppers':
      return undefined
    default:
      return source satisfies never
  }
}

function rootEntry(path: string, options: PackOptions): TarEntry {
  const { mode, uid, gid, mtimeSeconds } = statRoot(path)
  return {
    ...emptyEntry,
    path: options.prefix ?? rootPath,
    type: 'directory',
    mode: mode & 0o7777,
    uid,
    gid,
    mtimeSeconds: clampTime(mtimeSeconds, options),
    xattrs: imageXattrs(readRootXattrs(path)),
  }
}

const emptyEntry = {
  size: 0,
  mtimeNanoseconds: 0,
  linkTarget: '',
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: noXattrs,
} as const

function clampTime(seconds: number, { clampMtime, setMtime }: PackOptions): number {
  if (setMtime !== undefined) return setMtime
  return clampMtime === undefined ? seconds : Math.min(seconds, clampMtime)
}

function* entryChunks(packing: Packing, walked: WalkedEntry): Chunks {
  const { writer, options } = packing
  const xattrs = walked.stat.hasXattrs ? readXattrs(walked.directoryFd, walked.name) : noXattrs
  if (walked.stat.hasXattrs && overlayMarks(xattrs).isIndirect)
    throw unsupported(walked.path, 'was changed under an overlay with redirect_dir or metacopy')
  if (isWhiteout(walked)) {
    yield* whiteoutChunks(packing, walked)
    return
  }
  if (walked.name.startsWith(whiteoutPrefix))
    throw unsupported(walked.path, 'has a name that means in a layer that something is gone')
  const type = typeOf(walked.stat.mode)
  if (type === undefined) {
    options.emit?.({
      kind: 'warning',
      message: `the socket ${walked.path} is left out of the layer`,
    })
    return
  }
  passedBy(entryGarbageBytes)
  const entry = tarEntryOf(packing, walked, type, imageXattrs(xattrs))
  yield* writer.write(formatTarHeader(entry))
  if (entry.type === 'file' && entry.size > 0) yield* fileChunks(writer, walked)
  if (walked.isOpaque)
    yield* writer.write(formatTarHeader(markEntry(packing, joinPath(walked.path, opaqueName))))
}

/** A character device 0:0: overlayfs' own mark, or what no tree should have. */
function isWhiteout({ stat }: WalkedEntry): boolean {
  const isCharacter = (stat.mode & constants.S_IFMT) === constants.S_IFCHR
  return isCharacter && stat.deviceMajor === 0 && stat.deviceMinor === 0
}

function* whiteoutChunks(
  packing: Packing,
  { path, name }: Pick<WalkedEntry, 'path' | 'name'>,
): Chunks {
  if (packing.source.kind === 'tree')
    throw unsupported(path, 'is a device 0:0, which means in an overlay that something is gone')
  const mark = joinPath(parentOf(path), `${whiteoutPrefix}${name}`)
  yield* packing.writer.write(formatTarHeader(markEntry(packing, mark)))
}

/** An empty file whose name says it all. Its time says nothing, so it is not the moment of the removal. */
function markEntry({ options }: Packing, path: string): TarEntry {
  return {
    ...emptyEntry,
    path,
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtimeSeconds: options.setMtime ?? options.clampMtime ?? 0,
  }
}

function unsupported(path: string, what: string): KauriError {
  return new KauriError('UNSUPPORTED', `${path} cannot go into a layer: it ${what}`)
}

/** undefined for sockets, which have no meaning without their process. */
function typeOf(mode: number): TarEntryType | undefined {
  switch (mode & constants.S_IFMT) {
    case constants.S_IFREG:
      return 'file'
    case constants.S_IFDIR:
      return 'directory'
    case constants.S_IFLNK:
      return 'symlink'
    case constants.S_IFCHR:
      return 'character'
    case constants.S_IFBLK:
      return 'block'
    case constants.S_IFIFO:
      return 'fifo'
    default:
      return undefined
  }
}

function tarEntryOf(
  packing: Packing,
  { path: pathInTree, name, directoryFd, stat }: WalkedEntry,
  type: TarEntryType,
  xattrs: ReadonlyMap<string, Buffer>,
): TarEntry {
  const { prefix = rootPath } = packing.options
  const path = joinPath(prefix, pathInTree)
  const first = firstPathOf(packing, path, stat)
  const isDevice = type === 'character' || type === 'block'
  return {
    path,
    type: first === undefined ? type : 'link',
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: type === 'file' && first === undefined ? stat.size : 0,
    mtimeSeconds: clampTime(stat.mtimeSeconds, packing.options),
    mtimeNanoseconds: 0,
    linkTarget: first ?? (type === 'symlink' ? native().readLinkAt(directoryFd, name) : ''),
    deviceMajor: isDevice && first === undefined ? stat.deviceMajor : 0,
    deviceMinor: isDevice && first === undefined ? stat.deviceMinor : 0,
    xattrs: first === undefined ? xattrs : noXattrs,
  }
}

/** The path under which the same file was packed before. */
function firstPathOf(
  { firstPaths }: Packing,
  path: string,
  { nlink, mode, identity }: WalkedEntry['stat'],
): string | undefined {
  if (nlink < 2 || isDirectory(mode)) return undefined
  const first = firstPaths.get(identity)
  if (first === undefined) firstPaths.set(identity, path)
  return first
}

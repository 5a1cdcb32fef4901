// Walks a tree for packing: directories before what is in them, names in the order of their bytes. Everything is opened by
// name in the directory above, links are never followed, so a tree full of links shows nothing but itself.

import { closeSync, constants, openSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { type DirectoryScan, native, type Stat, scanFields, scanWidth } from '../native/native.ts'
import { defaultArchiveLimits } from './layer.ts'
import { joinPath, rootPath } from './tar-path.ts'

/** What lstat says of an entry; times are rounded down to seconds. */
export interface WalkedStat {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtimeSeconds: number
  readonly nlink: number
  readonly deviceMajor: number
  readonly deviceMinor: number
  /** 512-byte blocks in use. */
  readonly blocks: number
  readonly hasXattrs: boolean
  /** Equal for hard links to one file. */
  readonly identity: string
}

/** An entry, valid until the walk goes on. */
export interface WalkedEntry {
  /** Relative to the root of the tree. */
  readonly path: string
  readonly name: string
  /** The directory that holds it. */
  readonly directoryFd: number
  readonly stat: WalkedStat
}

interface OpenDirectory {
  readonly path: string
  readonly fd: number
  readonly scan: DirectoryScan
  next: number
}

/** Visits every entry below `root`; `enters` decides for each directory, after it was visited, whether its entries follow. */
export function* walkTree(
  root: string,
  enters: (entry: WalkedEntry) => boolean,
): Generator<WalkedEntry, void> {
  const { O_RDONLY, O_DIRECTORY } = constants
  const stack: OpenDirectory[] = [openDirectory(rootPath, openSync(root, O_RDONLY | O_DIRECTORY))]
  try {
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const entry = nextEntry(top)
      if (entry === undefined) {
        closeSync(top.fd)
        stack.pop()
        continue
      }
      yield entry
      if (isDirectory(entry.stat.mode) && enters(entry)) {
        checkDepth(entry.path, stack.length)
        const flags = O_RDONLY | O_DIRECTORY
        stack.push(openDirectory(entry.path, native().openAt(top.fd, entry.name, flags)))
      }
    }
  } finally {
    for (const { fd } of stack) closeSync(fd)
  }
}

export function isDirectory(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFDIR
}

function openDirectory(path: string, fd: number): OpenDirectory {
  try {
    return { path, fd, scan: native().scanDirectory(fd), next: 0 }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** What kauri would refuse to unpack it does not pack. */
function checkDepth(path: string, depth: number): void {
  const { maxDepth, maxPathBytes } = defaultArchiveLimits
  if (depth < maxDepth && path.length <= maxPathBytes) return
  throw new KauriError(
    'UNSUPPORTED',
    `a directory of the tree is deeper than ${maxDepth} or its path longer than ${maxPathBytes} bytes: ${path.slice(0, 200)}…`,
  )
}

function nextEntry(directory: OpenDirectory): WalkedEntry | undefined {
  const name = directory.scan.names[directory.next]
  if (name === undefined) return undefined
  const start = directory.next * scanWidth
  directory.next++
  return {
    path: joinPath(directory.path, name),
    name,
    directoryFd: directory.fd,
    stat: walkedStat(directory.scan.stats, start),
  }
}

function walkedStat(stats: Float64Array, start: number): WalkedStat {
  const field = (index: number): number => stats[start + index] ?? 0
  return {
    mode: field(scanFields.mode),
    uid: field(scanFields.uid),
    gid: field(scanFields.gid),
    size: field(scanFields.size),
    mtimeSeconds: field(scanFields.mtimeSeconds),
    nlink: field(scanFields.nlink),
    deviceMajor: field(scanFields.deviceMajor),
    deviceMinor: field(scanFields.deviceMinor),
    blocks: field(scanFields.blocks),
    hasXattrs: field(scanFields.hasXattrs) === 1,
    identity: `${field(scanFields.dev)}:${field(scanFields.inodeHigh)}:${field(scanFields.inodeLow)}`,
  }
}

/** What the root directory itself says; it is in no directory of the walk. */
export function statRoot(root: string): Stat {
  // `/.` because the path may be a link, such as /proc/self/fd/N.
  return native().statFile(`${root}/.`)
}

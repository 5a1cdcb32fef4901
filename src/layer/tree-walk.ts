// Walks a tree for packing: directories before what is in them, names in the order of their bytes. Everything is opened by
// name in the directory above, links are never followed, so a tree full of links shows nothing but itself. A stack of
// overlay upper directories is walked as the one change that they make together.

import { constants, openSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { native, type Stat } from '../native/native.ts'
import { defaultArchiveLimits } from './layer.ts'
import {
  closeParts,
  mergeNames,
  type NamedPart,
  type OpenPart,
  openPart,
  statOf,
  type WalkedStat,
} from './merged-directory.ts'
import { joinPath, rootPath } from './tar-path.ts'
import { overlayMarks, readXattrs } from './tree-xattrs.ts'

/** An entry, valid until the walk goes on. */
export interface WalkedEntry {
  /** Relative to the root of the tree. */
  readonly path: string
  readonly name: string
  /** The directory that holds it. */
  readonly directoryFd: number
  readonly stat: WalkedStat
  /** In an overlay: a directory that lets nothing of what is below the walked ones show through. */
  readonly isOpaque: boolean
}

/** What to walk, and how far. */
export interface WalkOptions {
  /** Directories to walk as one, topmost first; one of them, unless they are upper directories of an overlay. */
  readonly roots: readonly string[]
  readonly isOverlay: boolean
  /** Says for each directory, after it was visited, whether its entries follow. */
  readonly enters: (entry: WalkedEntry) => boolean
}

/** A directory of the walk: its parts, and the names that are still to come. */
interface OpenDirectory {
  readonly path: string
  readonly parts: readonly OpenPart[]
  readonly names: Iterator<readonly NamedPart[]>
}

const { O_RDONLY, O_DIRECTORY } = constants

/** Visits every entry below the roots. */
export function* walkTree({ roots, isOverlay, enters }: WalkOptions): Generator<WalkedEntry, void> {
  const open = openAll(roots, root => openSync(root, O_RDONLY | O_DIRECTORY))
  const stack: OpenDirectory[] = [{ path: rootPath, parts: open, names: mergeNames(open) }]
  try {
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { done, value: named } = top.names.next()
      if (done) {
        closeParts(top.parts)
        stack.pop()
        continue
      }
      const { entry, directories } = entryOf(top.path, named, isOverlay)
      yield entry
      if (directories.length === 0 || !enters(entry)) continue
      checkDepth(entry.path, stack.length)
      const parts = openAll(directories, ({ part, name }) =>
        native().openAt(part.fd, name, O_RDONLY | O_DIRECTORY),
      )
      stack.push({ path: entry.path, parts, names: mergeNames(parts) })
    }
  } finally {
    for (const { parts } of stack) closeParts(parts)
  }
}

/** Opens all or none. */
export function openAll<T>(directories: readonly T[], open: (directory: T) => number): OpenPart[] {
  const parts: OpenPart[] = []
  try {
    for (const directory of directories) parts.push(openPart(open(directory)))
    return parts
  } catch (error) {
    closeParts(parts)
    throw error
  }
}

/** The topmost entry of a name, and the directories that are walked as one where it is a directory. */
export function entryOf(
  parent: string,
  named: readonly NamedPart[],
  isOverlay: boolean,
): { entry: WalkedEntry; directories: readonly NamedPart[] } {
  const [top] = named
  if (top === undefined) throw new KauriError('INTERNAL', 'a name of no directory')
  const stat = statOf(top)
  const { directories, isOpaque } = isDirectory(stat.mode)
    ? directoriesOf(named, isOverlay)
    : { directories: [], isOpaque: false }
  const path = joinPath(parent, top.name)
  return { entry: { path, name: top.name, directoryFd: top.part.fd, stat, isOpaque }, directories }
}

/** From the topmost down to the first that is opaque or has something else under the name. */
function directoriesOf(
  named: readonly NamedPart[],
  isOverlay: boolean,
): { directories: readonly NamedPart[]; isOpaque: boolean } {
  const directories: NamedPart[] = []
  for (const one of named) {
    const { mode, hasXattrs } = statOf(one)
    if (!isDirectory(mode)) return { directories, isOpaque: true }
    directories.push(one)
    if (isOverlay && hasXattrs && overlayMarks(readXattrs(one.part.fd, one.name)).isOpaque)
      return { directories, isOpaque: true }
  }
  return { directories, isOpaque: false }
}

/** Of the mode that lstat(2) gives. */
export function isDirectory(mode: number): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFDIR
}

/** What kauri would refuse to unpack it does not pack. @throws UNSUPPORTED */
export function checkDepth(path: string, depth: number): void {
  const { maxDepth, maxPathBytes } = defaultArchiveLimits
  if (depth < maxDepth && path.length <= maxPathBytes) return
  throw new KauriError(
    'UNSUPPORTED',
    `a directory of the tree is deeper than ${maxDepth} or its path longer than ${maxPathBytes} bytes: ${path.slice(0, 200)}…`,
  )
}

/** What the root directory itself says; it is in no directory of the walk. */
export function statRoot(root: string): Stat {
  // `/.` because the path may be a link, such as /proc/self/fd/N.
  return native().statFile(`${root}/.`)
}

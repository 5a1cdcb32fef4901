// A tree that steps copy from: a context without what its ignore file leaves out, or the root of another stage. The kernel
// resolves every directory inside the root, names are never followed, so that a link from outside leads nowhere else.
// Directories are listed once; beyond a bound they are listed again, so that memory does not grow with the context.

import { closeSync, constants } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native, type Stat } from '../native/native.ts'
import { compilePathPatterns, type DirectoryMatch } from '../plan/path-patterns.ts'
import { entriesOf, entryOf, type SourceEntry } from './source-entry.ts'

/** Paths are relative to the root, without `.`, `..` and doubled slashes; '' is the root. */
export interface SourceTree {
  /** Where the user finds it, for messages. */
  readonly name: string
  /** Files belong to whom the tree says; in a context everything is root's. */
  readonly keepsOwners: boolean
  /** The entry of a path whose parents are directories, itself not followed; undefined where there is none. */
  find(entryPath: string): SourceEntry | undefined
  /** What a directory holds, names sorted by their bytes. @throws ENOENT, ENOTDIR */
  list(directory: string): readonly SourceEntry[]
  /** A descriptor (O_PATH) of a directory, which is no link; the caller closes it. @throws ENOENT, ENOTDIR, ELOOP */
  open(directory: string): number
}

export interface SourceTreeOptions {
  readonly name: string
  readonly keepsOwners: boolean
  /** Patterns of an ignore file. */
  readonly ignore?: readonly string[] | undefined
}

/** Entries that are kept in memory; 250 bytes each. */
const keptEntries = 50_000

/** The tree below a root's descriptor, which stays the caller's. @throws DESCRIPTION_INVALID for an ignore pattern that is none */
export function sourceTree(
  rootFd: number,
  { name, keepsOwners, ignore = [] }: SourceTreeOptions,
): SourceTree {
  const patterns = ignore.length === 0 ? undefined : compilePathPatterns(ignore)
  const listings = new Map<string, readonly SourceEntry[]>()
  let kept = 0

  /** What the directory, and those above it, matched. */
  function matchOf(directory: string): DirectoryMatch | undefined {
    if (patterns === undefined || directory === '') return undefined
    return patterns.enter(directory, matchOf(parentOf(directory)))
  }

  /** An ignored directory is there as long as something in it is taken in again. */
  function isThere(
    entry: SourceEntry,
    entryPath: string,
    parent: DirectoryMatch | undefined,
  ): boolean {
    if (patterns?.matches(entryPath, parent) !== true) return true
    if (entry.type !== 'directory' || !patterns.mayExemptBelow(entryPath)) return false
    return list(entryPath).length > 0
  }

  function open(directory: string): number {
    const flags = oPath | constants.O_DIRECTORY | constants.O_NOFOLLOW
    return native().openInRoot(rootFd, directory === '' ? '.' : directory, flags)
  }

  function scan(directory: string): SourceEntry[] {
    const fd = open(directory)
    try {
      return entriesOf(native().scanDirectory(fd, false))
    } catch (error) {
      throw explainDenied(error, path.join(name, directory))
    } finally {
      closeSync(fd)
    }
  }

  function list(directory: string): readonly SourceEntry[] {
    const known = listings.get(directory)
    if (known !== undefined) return known
    const parent = matchOf(directory)
    const all = scan(directory)
    const entries =
      patterns === undefined
        ? all
        : all.filter(entry => isThere(entry, joinPath(directory, entry.name), parent))
    if (kept + entries.length <= keptEntries) {
      kept += entries.length
      listings.set(directory, entries)
    }
    return entries
  }

  return {
    name,
    keepsOwners,
    open,
    list,
    find(entryPath) {
      const directory = parentOf(entryPath)
      const stat = entryPath === '' ? rootStat(rootFd) : statIn(open, directory, baseOf(entryPath))
      const entry = stat === undefined ? undefined : entryOf(baseOf(entryPath), stat)
      if (entry === undefined || entryPath === '') return entry
      return isThere(entry, entryPath, matchOf(directory)) ? entry : undefined
    },
  }
}

function rootStat(rootFd: number): Stat {
  // `/.` because the path is a link itself.
  return native().statFile(`/proc/self/fd/${rootFd}/.`)
}

function statIn(open: SourceTree['open'], directory: string, name: string): Stat | undefined {
  let fd: number | undefined
  try {
    fd = open(directory)
    return native().statAt(fd, name)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return undefined
    throw error
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** What to do about a file that this user may not read; other errors pass unchanged. */
export function explainDenied(error: unknown, where: string): unknown {
  if (!hasErrno(error, 'EACCES', 'EPERM')) return error
  return new KauriError('PERMISSION_DENIED', `${where} cannot be read`, {
    hint: 'name it in .dockerignore, or let kauri read it',
    cause: error,
  })
}

/** '' for what is in the root. */
export function parentOf(entryPath: string): string {
  return entryPath.slice(0, Math.max(entryPath.lastIndexOf('/'), 0))
}

export function baseOf(entryPath: string): string {
  return entryPath.slice(entryPath.lastIndexOf('/') + 1)
}

/** Either may be ''. */
export function joinPath(directory: string, name: string): string {
  if (directory === '' || name === '') return directory + name
  return `${directory}/${name}`
}

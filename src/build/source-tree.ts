// A tree that steps copy from: a context without what its ignore file leaves out, or the root of another stage. The kernel
// resolves every directory inside the root, names are never followed, so that a link from outside leads nowhere else.
// Directories are listed once; beyond a bound they are listed again, so that memory does not grow with the context.

import { closeSync, constants } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { type DirectoryScan, native, type Stat } from '../native/native.ts'
import { compilePathPatterns, type DirectoryMatch } from '../plan/path-patterns.ts'
import { entriesOf, entryOf, filterScan, type SourceEntry } from './source-entry.ts'

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
  /** False once a directory was too much to be remembered: the next time it may hold something else. */
  isRemembered(): boolean
  /** A descriptor (O_PATH) of a directory, which is no link; the caller closes it. @throws ENOENT, ENOTDIR, ELOOP */
  open(directory: string): number
}

export interface SourceTreeOptions {
  readonly name: string
  readonly keepsOwners: boolean
  /** Patterns of an ignore file. */
  readonly ignore?: readonly string[] | undefined
  /** Entries whose numbers are remembered, 170 bytes each. */
  readonly mostRemembered?: number
}

/** The tree below a root's descriptor, which stays the caller's. @throws DESCRIPTION_INVALID for an ignore pattern that is none */
export function sourceTree(
  rootFd: number,
  { name, keepsOwners, ignore = [], mostRemembered = usuallyRemembered }: SourceTreeOptions,
): SourceTree {
  const ignored = ignore.length === 0 ? undefined : ignoredPaths(ignore)
  const isThere = (entry: SourceEntry, entryPath: string): boolean => {
    if (ignored?.has(entryPath) !== true) return true
    // An ignored directory is there as long as something in it is taken in again.
    if (entry.type !== 'directory' || !ignored.mayExemptBelow(entryPath)) return false
    return list(entryPath).length > 0
  }
  const open = (directory: string): number => {
    const flags = oPath | constants.O_DIRECTORY | constants.O_NOFOLLOW
    return native().openInRoot(rootFd, directory === '' ? '.' : directory, flags)
  }
  const { scan, isComplete } = keptScans(mostRemembered, directory => {
    const fd = open(directory)
    try {
      const whole = native().scanDirectory(fd, false)
      if (ignored === undefined) return whole
      return filterScan(whole, entry => isThere(entry, joinPath(directory, entry.name)))
    } catch (error) {
      throw explainDenied(error, path.join(name, directory))
    } finally {
      closeSync(fd)
    }
  })
  const list = (directory: string): readonly SourceEntry[] => entriesOf(scan(directory))
  return {
    name,
    keepsOwners,
    open,
    list,
    isRemembered: isComplete,
    find(entryPath) {
      const entryName = baseOf(entryPath)
      const stat =
        entryPath === '' ? rootStat(rootFd) : statIn(open, parentOf(entryPath), entryName)
      const entry = stat === undefined ? undefined : entryOf(entryName, stat)
      return entry === undefined || entryPath === '' || isThere(entry, entryPath)
        ? entry
        : undefined
    },
  }
}

interface IgnoredPaths {
  has(entryPath: string): boolean
  mayExemptBelow(directory: string): boolean
}

const mostMatches = 1024

function ignoredPaths(lines: readonly string[]): IgnoredPaths {
  const patterns = compilePathPatterns(lines)
  const matches = new Map<string, DirectoryMatch>()
  const matchOf = (directory: string): DirectoryMatch | undefined => {
    if (directory === '') return undefined
    const known = matches.get(directory)
    if (known !== undefined) return known
    const match = patterns.enter(directory, matchOf(parentOf(directory)))
    if (matches.size >= mostMatches) matches.clear()
    matches.set(directory, match)
    return match
  }
  return {
    has: entryPath => patterns.matches(entryPath, matchOf(parentOf(entryPath))),
    mayExemptBelow: directory => patterns.mayExemptBelow(directory),
  }
}

/** As numbers: objects that live on would make V8 put all others into its old space, too, where 500,000 of them stay for long. */
const usuallyRemembered = 30_000

function keptScans(
  mostKept: number,
  read: (directory: string) => DirectoryScan,
): {
  readonly scan: (directory: string) => DirectoryScan
  readonly isComplete: () => boolean
} {
  const scans = new Map<string, DirectoryScan>()
  let kept = 0
  let isComplete = true
  return {
    isComplete: () => isComplete,
    scan(directory) {
      const known = scans.get(directory)
      if (known !== undefined) return known
      const found = read(directory)
      if (kept + found.names.length > mostKept) isComplete = false
      else {
        kept += found.names.length
        scans.set(directory, found)
      }
      return found
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

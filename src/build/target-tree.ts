// The tree that COPY, ADD and WORKDIR change. Links of the target's path are followed inside the tree, also dangling ones;
// below the target nothing is followed.

import { closeSync, constants } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native, type Stat } from '../native/native.ts'
import type { Owner } from './copy-entries.ts'
import { followLinks } from './source-links.ts'
import { baseOf, parentOf } from './source-tree.ts'

/** Paths are relative to the root; '' is the root itself. */
export interface TargetTree {
  /** Where a path leads. @throws FILE_NOT_FOUND for a loop of links */
  follow(entryPath: string): string
  /** What a path without links is; undefined where nothing is there. */
  stat(entryPath: string): Stat | undefined
  /** A descriptor (O_PATH) of a directory; the caller closes it. */
  open(directory: string): number
  /** Makes a directory, a path without links, and its missing parents. @throws PROCESS_FAILED where something else has the name */
  makeDirectories(directory: string, looks: DirectoryLooks): void
}

/** Of directories that are made on the way. */
export interface DirectoryLooks {
  readonly mode: number
  /** Undefined: root, as the process is. */
  readonly owner: Owner | undefined
}

/** The tree below a root's descriptor, which stays the caller's. */
export function targetTree(rootFd: number): TargetTree {
  function open(directory: string): number {
    const flags = oPath | constants.O_DIRECTORY | constants.O_NOFOLLOW
    return native().openInRoot(rootFd, directory === '' ? '.' : directory, flags)
  }

  function stat(entryPath: string): Stat | undefined {
    if (entryPath === '') return native().statFile(`/proc/self/fd/${rootFd}/.`)
    return inDirectory(parentOf(entryPath), fd => native().statAt(fd, baseOf(entryPath)))
  }

  /** Undefined where the directory is missing. */
  function inDirectory<T>(directory: string, work: (fd: number) => T): T | undefined {
    let fd: number | undefined
    try {
      fd = open(directory)
      return work(fd)
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
      throw error
    } finally {
      if (fd !== undefined) closeSync(fd)
    }
  }

  function readLink(entryPath: string): string | undefined {
    const found = stat(entryPath)
    if (found === undefined || !isType(found, constants.S_IFLNK)) return undefined
    return inDirectory(parentOf(entryPath), fd => native().readLinkAt(fd, baseOf(entryPath)))
  }

  function makeDirectories(directory: string, looks: DirectoryLooks): void {
    const there = stat(directory)
    if (there !== undefined) {
      if (isDirectoryStat(there)) return
      throw new KauriError('PROCESS_FAILED', `mkdir /${directory}: not a directory`)
    }
    makeDirectories(parentOf(directory), looks)
    const fd = open(parentOf(directory))
    try {
      const name = baseOf(directory)
      native().makeDirectoryAt(fd, name, 0o700)
      if (looks.owner !== undefined) native().setOwnerAt(fd, name, looks.owner.uid, looks.owner.gid)
      native().setModeAt(fd, name, looks.mode)
    } finally {
      closeSync(fd)
    }
  }

  return { open, stat, makeDirectories, follow: entryPath => followLinks({ readLink }, entryPath) }
}

/** Of the mode that lstat(2) gives. */
export function isDirectoryStat(stat: Stat): boolean {
  return isType(stat, constants.S_IFDIR)
}

function isType({ mode }: Stat, type: number): boolean {
  return (mode & constants.S_IFMT) === type
}

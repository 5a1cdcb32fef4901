// Puts the entries of a source into a tree, as rsync does for an overlay: files replace what has their name, directories
// join what is there. A link to a directory that the tree has in a directory's place is kept and followed inside the
// tree, so that `bin/tool` of an overlay lands in /usr/bin of a root where /bin is a link. Times are those of the copy:
// they are no part of a step's key, and packing sets them.

import { chmodSync, closeSync, constants, copyFileSync, fstatSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { passedBy } from '../core/young-garbage.ts'
import { makeDirectoriesInRoot, oPath, openPlace, type Place } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import type { GuestPath } from '../plan/plan.ts'
import type { ContextEntry, ContextSource } from './context-scan.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

export const rootOwner: Owner = { uid: 0, gid: 0 }

export interface CopyTarget {
  /** An O_PATH descriptor of the tree's root. */
  readonly rootFd: number
  /** Where the source itself goes; its parents are made. */
  readonly target: GuestPath
  readonly owner: Owner
  /** Permission bits in place of those of the source's files. */
  readonly mode?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What the copy of an entry leaves behind in memory. */
const entryGarbageBytes = 4096

/** Lets signals be seen, and does not slow small copies. */
const entriesBetweenPauses = 200

/** Copies every entry, links as links, with modes and attributes. @throws PROCESS_FAILED where a directory and a file stand in each other's way; CANCELLED */
export async function copyEntries(source: ContextSource, to: CopyTarget): Promise<void> {
  const { rootFd, target, signal } = to
  makeDirectoriesInRoot(rootFd, path.posix.dirname(target), { mode: 0o755, ...rootOwner })
  for (const [index, entry] of source.entries.entries()) {
    if (index % entriesBetweenPauses === 0) await setImmediate()
    if (signal?.aborted) throw cancelled(signal)
    copyEntry(source, entry, to)
    passedBy(entryGarbageBytes)
  }
}

function copyEntry(source: ContextSource, entry: ContextEntry, to: CopyTarget): void {
  const destination = destinationOf(entry.path, to)
  try {
    if (entry.type === 'directory') copyDirectory(entry, destination, to)
    else replaceEntry(source, entry, { destination, to })
  } catch (error) {
    if (!hasErrno(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw error
    throw new KauriError(
      'PROCESS_FAILED',
      `${path.join(source.hostPath, entry.path)} is a ${entry.type}, and ${destination} of the image cannot become one`,
      { hint: 'remove what is in the way in an earlier step', cause: error },
    )
  }
}

function destinationOf(entryPath: string, { target }: CopyTarget): string {
  return entryPath === '' ? target : path.posix.join(target, entryPath)
}

function copyDirectory(
  entry: ContextEntry,
  destination: string,
  { rootFd, owner }: CopyTarget,
): void {
  const existing = openDirectoryIfThere(rootFd, destination)
  if (existing !== undefined) {
    try {
      // The target itself is the image's own, such as `/`: only what the overlay has inside it is the overlay's.
      if (entry.path !== '') chmodSync(`/proc/self/fd/${existing}`, entry.mode)
    } finally {
      closeSync(existing)
    }
    return
  }
  using place = openPlace(rootFd, destination)
  const calls = native()
  if (calls.statAt(place.directoryFd, place.name) !== undefined)
    calls.unlinkAt(place.directoryFd, place.name)
  calls.makeDirectoryAt(place.directoryFd, place.name, 0o700)
  calls.setOwnerAt(place.directoryFd, place.name, owner.uid, owner.gid)
  calls.setModeAt(place.directoryFd, place.name, entry.mode)
  setXattrs(entry, place.directoryFd, place.name)
}

/** Links are followed inside the root. */
function openDirectoryIfThere(rootFd: number, directory: string): number | undefined {
  try {
    return native().openInRoot(rootFd, directory, oPath | constants.O_DIRECTORY)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

/** Makes the entry under a temporary name and renames it: a link that has the name is replaced, never written through. */
function replaceEntry(
  source: ContextSource,
  entry: ContextEntry,
  { destination, to }: { readonly destination: string; readonly to: CopyTarget },
): void {
  using place = openPlace(to.rootFd, destination)
  const calls = native()
  const temporary: Place = { ...place, name: `.kauri-tmp-${process.pid}-copy` }
  calls.removeTreeAt(temporary.directoryFd, temporary.name)
  try {
    if (entry.sameAs !== undefined) linkSame(entry.sameAs, temporary, to)
    else makeEntry(source, entry, { place: temporary, to })
    calls.renameAt(temporary.directoryFd, temporary.name, place.directoryFd, place.name)
  } finally {
    calls.removeTreeAt(temporary.directoryFd, temporary.name)
  }
}

function linkSame(sameAs: string, place: Place, to: CopyTarget): void {
  using first = openPlace(to.rootFd, destinationOf(sameAs, to))
  native().makeLinkAt(first.directoryFd, first.name, place.directoryFd, place.name)
}

function makeEntry(
  source: ContextSource,
  entry: ContextEntry,
  { place, to }: { readonly place: Place; readonly to: CopyTarget },
): void {
  const { directoryFd, name } = place
  const calls = native()
  const mode = to.mode ?? entry.mode
  if (entry.type === 'file') copyFile(source, entry, { place, mode, owner: to.owner })
  else if (entry.type === 'link') calls.makeSymlinkAt(entry.target ?? '', directoryFd, name)
  else {
    const { major, minor } = entry.device ?? { major: 0, minor: 0 }
    calls.makeNodeAt(directoryFd, name, nodeType(entry) | 0o600, major, minor)
  }
  if (entry.type !== 'file') calls.setOwnerAt(directoryFd, name, to.owner.uid, to.owner.gid)
  if (entry.type !== 'file' && entry.type !== 'link') calls.setModeAt(directoryFd, name, mode)
  setXattrs(entry, directoryFd, name)
}

function nodeType({ type }: ContextEntry): number {
  if (type === 'character') return constants.S_IFCHR
  return type === 'block' ? constants.S_IFBLK : constants.S_IFIFO
}

function copyFile(
  source: ContextSource,
  entry: ContextEntry,
  { place, mode, owner }: { readonly place: Place; readonly mode: number; readonly owner: Owner },
): void {
  const calls = native()
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
  const from = source.openFile(entry)
  try {
    const into = calls.openAt(place.directoryFd, place.name, flags, 0o600)
    try {
      copyFileSync(`/proc/self/fd/${from}`, `/proc/self/fd/${into}`)
      const seconds = Math.floor(fstatSync(into).mtimeMs / 1000)
      calls.finishFile(into, owner.uid, owner.gid, mode, seconds, 0)
    } finally {
      closeSync(into)
    }
  } finally {
    closeSync(from)
  }
}

/** After the owner: a change of owner takes file capabilities away. */
function setXattrs(entry: ContextEntry, directoryFd: number, name: string): void {
  for (const { name: xattr, value } of entry.xattrs)
    native().setXattrAt(directoryFd, name, xattr, value)
}

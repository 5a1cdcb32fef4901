// Copies what a source stands for into a tree, with BuildKit's results: a directory's contents go below the target, a file
// goes to the target or into it where that is a directory; directories join those that are there and give them their own
// owner, mode and time; files replace what is no directory; hard links within one source stay, and so do times.

import { closeSync, constants } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { createPause, type Pause } from '../layer/time-slice.ts'
import { native } from '../native/native.ts'
import type { Owner } from './copy-entries.ts'
import { copyFileVerified, type FileSource } from './copy-file.ts'
import { type CopyTarget, makeWay, prepareDestination } from './copy-target.ts'
import { hashLargeFile, hashText, smallFileBytes } from './hash-file.ts'
import { inodeOf, type ReadableSource } from './source-digest.ts'
import type { SourceEntry } from './source-entry.ts'
import type { SourceMatch } from './source-patterns.ts'
import { baseOf, joinPath, parentOf } from './source-tree.ts'
import { type WalkedDirectory, type WalkRules, walkSource } from './source-walk.ts'
import { readDirectoryXattrs, readSourceXattrs, type SourceXattr } from './source-xattrs.ts'
import { isDirectoryStat, type TargetTree, targetTree } from './target-tree.ts'

/** Copies a match. @throws PROCESS_FAILED where a directory and a file stand in each other's way, and where a file changed since its digest was taken; CANCELLED */
export async function copySource(
  source: ReadableSource,
  match: SourceMatch,
  rules: WalkRules,
  to: CopyTarget,
): Promise<void> {
  const entry = source.tree.find(match.path)
  if (entry === undefined) throw changedSource(source, match.path)
  const tree = targetTree(to.rootFd)
  const destination = prepareDestination(
    tree,
    { name: match.name, becomes: entry.type === 'directory' ? rules.directory : 'file' },
    to,
  )
  const copy: Copy = {
    source,
    to,
    tree,
    destination,
    firstPaths: new Map(),
    made: [],
    unproven: [],
    pause: createPause(),
  }
  if (entry.type !== 'directory') {
    copySingle(copy, { ...entry, name: baseOf(match.path) }, parentOf(match.path))
    await proveCopies(copy)
    return
  }
  for (const directory of walkSource(source.tree, match.path, rules)) {
    await copyDirectory(copy, directory)
    await proveCopies(copy)
  }
  for (const directory of copy.made.toReversed()) finishDirectory(copy, directory)
}

/** One source on its way. */
interface Copy {
  readonly source: ReadableSource
  readonly to: CopyTarget
  readonly tree: TargetTree
  /** The path, without links, that the source becomes. */
  readonly destination: string
  /** Where the first name of each file with several names went, by inode. */
  readonly firstPaths: Map<string, string>
  /** Directories that get their looks when nothing changes in them any more. */
  readonly made: FinishedDirectory[]
  /** Copies that must have a digest. */
  readonly unproven: {
    readonly destination: string
    readonly digest: string
    readonly shown: string
  }[]
  readonly pause: Pause
}

interface FinishedDirectory {
  readonly path: string
  /** Of the source; not what is in it, which would stay in memory until the end. */
  readonly entry: SourceEntry
  /** Undefined: nothing but the time. */
  readonly looks: { readonly xattrs: readonly SourceXattr[] } | undefined
}

function copySingle(copy: Copy, entry: SourceEntry, directory: string): void {
  const { source, tree, destination } = copy
  const from = source.tree.open(directory)
  try {
    const into = tree.open(parentOf(destination))
    try {
      copyEntry(copy, entry, { from, into, directory, destination })
    } finally {
      closeSync(into)
    }
  } finally {
    closeSync(from)
  }
}

async function copyDirectory(copy: Copy, walked: WalkedDirectory): Promise<void> {
  const { source, tree, pause } = copy
  const path = joinPath(copy.destination, walked.relative)
  const from = whileThere(source, walked.path, () => source.tree.open(walked.path))
  try {
    makeDirectory(copy, walked, { path, from })
    if (walked.files.length === 0) return
    const into = tree.open(path)
    try {
      for (const entry of walked.files) {
        if (source.signal?.aborted) throw cancelled(source.signal)
        const destination = joinPath(path, entry.name)
        copyEntry(copy, entry, { from, into, directory: walked.path, destination })
        // A promise for each file would cost; most of the time there is nothing to wait for.
        const turn = pause()
        if (turn !== undefined) await turn
      }
    } finally {
      closeSync(into)
    }
  } finally {
    closeSync(from)
  }
}

function makeDirectory(
  copy: Copy,
  walked: WalkedDirectory,
  { path, from }: { readonly path: string; readonly from: number },
): void {
  const { tree, made } = copy
  const isTop = walked.relative === ''
  const isNew = makeIfMissing(tree, path)
  if (isTop && !isNew) {
    made.push({ path, entry: walked.entry, looks: undefined })
    return
  }
  // A directory that is there only for what is in it changes one that was there in nothing but its mode.
  if (walked.isImplied && !isNew) {
    inParent(tree, path, (fd, name) => native().setModeAt(fd, name, walked.entry.mode))
    return
  }
  made.push({ path, entry: walked.entry, looks: { xattrs: readDirectoryXattrs(from) } })
}

/** True where it was made. */
function makeIfMissing(tree: TargetTree, path: string): boolean {
  if (path === '') return false
  try {
    inParent(tree, path, (fd, name) => native().makeDirectoryAt(fd, name, 0o700))
    return true
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
  }
  const there = tree.stat(path)
  if (there !== undefined && isDirectoryStat(there)) return false
  throw new KauriError('PROCESS_FAILED', `cannot copy to non-directory: /${path}`, {
    hint: 'remove what is in the way in an earlier step',
  })
}

function inParent<T>(tree: TargetTree, path: string, work: (fd: number, name: string) => T): T {
  const fd = tree.open(parentOf(path))
  try {
    return work(fd, baseOf(path))
  } finally {
    closeSync(fd)
  }
}

function finishDirectory(copy: Copy, { path, entry, looks }: FinishedDirectory): void {
  if (path === '') {
    native().setTimes(
      `/proc/self/fd/${copy.to.rootFd}/.`,
      entry.mtimeSeconds,
      entry.mtimeNanoseconds,
    )
    return
  }
  inParent(copy.tree, path, (fd, name) => {
    if (looks !== undefined) {
      const { uid, gid } = ownerOf(copy, entry)
      native().setOwnerAt(fd, name, uid, gid)
      for (const { name: xattr, value } of looks.xattrs) native().setXattrAt(fd, name, xattr, value)
      native().setModeAt(fd, name, modeOf(copy, entry))
    }
    native().setTimesAt(fd, name, entry.mtimeSeconds, entry.mtimeNanoseconds)
  })
}

/** Names in open directories. */
interface EntryPlace {
  readonly from: number
  readonly into: number
  /** Of the source, for messages. */
  readonly directory: string
  /** The path of the copy. */
  readonly destination: string
}

function copyEntry(copy: Copy, entry: SourceEntry, place: EntryPlace): void {
  try {
    putEntry(copy, entry, place)
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error
    makeWay(place)
    putEntry(copy, entry, place)
  }
}

function putEntry(copy: Copy, entry: SourceEntry, place: EntryPlace): void {
  const { from, into, destination } = place
  const name = baseOf(destination)
  const calls = native()
  if (entry.type === 'file') return putFile(copy, entry, place)
  if (entry.type === 'link') calls.makeSymlinkAt(readLink(copy, entry, place), into, name)
  else {
    const type = nodeTypes[entry.type] ?? constants.S_IFIFO
    calls.makeNodeAt(into, name, type | 0o600, entry.deviceMajor, entry.deviceMinor)
  }
  const { uid, gid } = ownerOf(copy, entry)
  calls.setOwnerAt(into, name, uid, gid)
  if (entry.type !== 'link') {
    setXattrs(place, readSourceXattrs(from, entry.name))
    calls.setModeAt(into, name, modeOf(copy, entry))
  }
  calls.setTimesAt(into, name, entry.mtimeSeconds, entry.mtimeNanoseconds)
}

function readLink({ source }: Copy, entry: SourceEntry, { from, directory }: EntryPlace): string {
  const shown = joinPath(directory, entry.name)
  const target = whileThere(source, shown, () => native().readLinkAt(from, entry.name))
  if (source.mayChange && source.contents.find(entry)?.digest !== hashText(target))
    throw changedSource(source, shown)
  return target
}

const nodeTypes: Readonly<Record<string, number>> = {
  character: constants.S_IFCHR,
  block: constants.S_IFBLK,
  fifo: constants.S_IFIFO,
}

function putFile(copy: Copy, entry: SourceEntry, place: EntryPlace): void {
  const { firstPaths } = copy
  const { into, destination } = place
  if (entry.links === 1) return copyFile(copy, entry, place)
  const inode = inodeOf(entry)
  const first = firstPaths.get(inode)
  if (first === undefined) {
    copyFile(copy, entry, place)
    firstPaths.set(inode, destination)
  } else
    inParent(copy.tree, first, (fd, name) =>
      native().makeLinkAt(fd, name, into, baseOf(destination)),
    )
}

function copyFile(copy: Copy, entry: SourceEntry, place: EntryPlace): void {
  const { source } = copy
  const { into, destination } = place
  const content = source.contents.find(entry)
  const shown = joinPath(place.directory, entry.name)
  if (content === undefined && source.mayChange) throw changedSource(source, shown)
  const xattrs = content?.hasXattrs === false ? [] : readSourceXattrs(place.from, entry.name)
  const { uid, gid } = ownerOf(copy, entry)
  const isCopied = whileThere(source, shown, () =>
    copyFileVerified(
      { directoryFd: place.from, entry, proof: proofOf(copy, entry, place) },
      { directoryFd: into, name: baseOf(destination) },
      { uid, gid, mode: modeOf(copy, entry), xattrs },
    ),
  )
  if (!isCopied) throw changedSource(source, shown)
}

/** What is gone, or something else by now, has changed. */
function whileThere<T>(source: ReadableSource, shown: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL')) throw error
    throw changedSource(source, shown)
  }
}

/** A large file whose numbers prove nothing is hashed when it is copied, and not at one go. */
function proofOf(
  { source, unproven }: Copy,
  entry: SourceEntry,
  place: EntryPlace,
): FileSource['proof'] {
  if (!source.mayChange) return 'unneeded'
  if (source.contents.isFirm(entry)) return 'numbers'
  const digest = source.contents.find(entry)?.digest ?? ''
  if (entry.sizeBytes <= smallFileBytes) return { digest }
  const { destination, directory } = place
  unproven.push({ destination, digest, shown: joinPath(directory, entry.name) })
  return 'numbers'
}

async function proveCopies({ source, tree, unproven }: Copy): Promise<void> {
  for (const { destination, digest, shown } of unproven.splice(0)) {
    const file = inParent(tree, destination, (fd, name) =>
      native().openAt(fd, name, constants.O_RDONLY),
    )
    try {
      if ((await hashLargeFile(file, source.signal)) !== digest) throw changedSource(source, shown)
    } finally {
      closeSync(file)
    }
  }
}

function setXattrs({ into, destination }: EntryPlace, xattrs: readonly SourceXattr[]): void {
  for (const { name, value } of xattrs) native().setXattrAt(into, baseOf(destination), name, value)
}

function ownerOf({ source, to }: Copy, { uid, gid }: SourceEntry): Owner {
  return to.owner ?? (source.tree.keepsOwners ? { uid, gid } : { uid: 0, gid: 0 })
}

function modeOf({ to }: Copy, { mode, type }: SourceEntry): number {
  return to.chmod?.apply(mode, type === 'directory') ?? mode
}

/** For what is no longer what its digest says. */
export function changedSource({ tree }: ReadableSource, entryPath: string): KauriError {
  return new KauriError(
    'PROCESS_FAILED',
    `${joinPath(tree.name, entryPath)} changed while it was used`,
    {
      hint: 'build again when nothing writes there',
    },
  )
}

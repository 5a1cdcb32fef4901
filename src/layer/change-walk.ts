// Walks what one tree has beyond another. For an overlay only its upper directories are walked, for copies the whole tree;
// both give the same: entries that are new or other than below, what is gone, and the directories above either. An
// entry that was only touched is no change. So a layer does not tell how the tree was kept.

import { closeSync, constants, openSync, readSync } from 'node:fs'
import { native } from '../native/native.ts'
import {
  closeParts,
  mergeNames,
  type NamedPart,
  type OpenPart,
  openPart,
  statOf,
  type WalkedStat,
} from './merged-directory.ts'
import { compareNames } from './name-bytes.ts'
import { joinPath, rootPath } from './tar-path.ts'
import { checkDepth, entryOf, isDirectory, openAll, type WalkedEntry } from './tree-walk.ts'
import { imageXattrs, readXattrs } from './tree-xattrs.ts'

/** What differs; `walked` is valid until the walk goes on. */
export interface ChangedEntry {
  readonly walked: WalkedEntry
  /** The name is in the tree below only. */
  readonly isGone: boolean
}

export interface ChangeWalkOptions {
  /** Upper directories of an overlay, topmost first, or one whole tree. */
  readonly paths: readonly string[]
  readonly isOverlay: boolean
  /** The tree to compare with. */
  readonly below: string
  /**
   * A file that has another time and is equal otherwise is no change: for layers whose times are set, where it must not
   * matter when something was written.
   */
  readonly ignoresTimes: boolean
  /** Says for each directory whether its entries are looked at. */
  readonly enters: (entry: WalkedEntry) => boolean
}

/** A directory on the way down. */
interface Frame {
  readonly path: string
  readonly parts: readonly OpenPart[]
  readonly below: Below | undefined
  readonly isWhole: boolean
  readonly names: Iterator<NameToVisit>
  /** The directory's own entry, as long as nothing in it was a change and itself is none. */
  pending: WalkedEntry | undefined
}

/** The same directory in the tree below. */
interface Below {
  readonly part: OpenPart
  readonly indexes: ReadonlyMap<string, number>
}

/** `named` is empty for a name of the tree below alone, which is gone. */
interface NameToVisit {
  readonly name: string
  readonly named: readonly NamedPart[]
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants

/** Visits the changes, directories before what is in them, names in the order of their bytes. */
export function* walkChanges(options: ChangeWalkOptions): Generator<ChangedEntry, void> {
  const { paths, isOverlay, below, enters } = options
  const stack: Frame[] = [
    openFrame({
      path: rootPath,
      parts: openAll(paths, root => openSync(root, O_RDONLY | O_DIRECTORY)),
      openBelow: () => openSync(below, O_RDONLY | O_DIRECTORY),
      isWhole: !isOverlay,
      pending: undefined,
    }),
  ]
  try {
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { done, value } = top.names.next()
      if (done) {
        closeFrame(top)
        stack.pop()
        continue
      }
      const visited = visit(top, value, options)
      if (visited.change !== undefined) {
        yield* pendingOf(stack)
        yield visited.change
      }
      const { directory } = visited
      if (directory === undefined || !enters(directory.entry)) continue
      checkDepth(directory.entry.path, stack.length)
      stack.push(enter(directory))
    }
  } finally {
    for (const frame of stack) closeFrame(frame)
  }
}

/** The directories above a change, which a layer names before it. */
function* pendingOf(stack: readonly Frame[]): Generator<ChangedEntry, void> {
  for (const frame of stack) {
    if (frame.pending === undefined) continue
    yield { walked: frame.pending, isGone: false }
    frame.pending = undefined
  }
}

interface FrameInput {
  readonly path: string
  readonly parts: readonly OpenPart[]
  readonly openBelow: (() => number) | undefined
  /** What the parts do not have is gone. */
  readonly isWhole: boolean
  readonly pending: WalkedEntry | undefined
}

function openFrame({ path, parts, openBelow, isWhole, pending }: FrameInput): Frame {
  try {
    const part = openBelow === undefined ? undefined : openPart(openBelow())
    const below = part && {
      part,
      indexes: new Map(part.scan.names.map((name, index) => [name, index])),
    }
    const names = namesToVisit(parts, isWhole ? below : undefined)
    return { path, parts, below, isWhole, names, pending }
  } catch (error) {
    closeParts(parts)
    throw error
  }
}

function closeFrame({ parts, below }: Frame): void {
  closeParts(parts)
  if (below !== undefined) closeSync(below.part.fd)
}

function* namesToVisit(
  parts: readonly OpenPart[],
  below: Below | undefined,
): Generator<NameToVisit, void> {
  const gone = below === undefined ? [] : namesOnlyIn(below, parts)
  let next = 0
  for (const named of mergeNames(parts)) {
    const name = named[0]?.name ?? ''
    for (; next < gone.length && compareNames(gone[next] ?? '', name) < 0; next++)
      yield { name: gone[next] ?? '', named: [] }
    yield { name, named }
  }
  for (const name of gone.slice(next)) yield { name, named: [] }
}

function namesOnlyIn({ part }: Below, parts: readonly OpenPart[]): string[] {
  const there = new Set(parts.flatMap(({ scan }) => scan.names))
  return part.scan.names.filter(name => !there.has(name))
}

interface Visited {
  readonly change: ChangedEntry | undefined
  readonly directory: VisitedDirectory | undefined
}

interface VisitedDirectory {
  readonly entry: WalkedEntry
  readonly parts: readonly NamedPart[]
  readonly below: NamedPart | undefined
  readonly isWhole: boolean
  readonly isSame: boolean
}

function visit(
  frame: Frame,
  { name, named }: NameToVisit,
  { isOverlay, ignoresTimes }: ChangeWalkOptions,
): Visited {
  const old = belowOf(frame, name)
  const [top] = named
  if (top === undefined || (isOverlay && isWhiteout(statOf(top))))
    return { change: goneEntry(frame, name, old), directory: undefined }
  const { entry: walked, directories } = entryOf(frame.path, named, isOverlay)
  // Names that an opaque directory hides are told one by one.
  const entry = { ...walked, isOpaque: false }
  const isSame = old !== undefined && isEqual(entry, old, ignoresTimes)
  const change = isSame ? undefined : { walked: entry, isGone: false }
  if (!isDirectory(entry.stat.mode)) return { change, directory: undefined }
  const below = old !== undefined && isDirectory(statOf(old).mode) ? old : undefined
  // Below what hides everything nothing shows through either, and needs no mark of its own.
  const isWhole = frame.isWhole || walked.isOpaque
  return { change, directory: { entry, parts: directories, below, isWhole, isSame } }
}

function enter({ entry, parts, below, isWhole, isSame }: VisitedDirectory): Frame {
  const openBelow = (): number =>
    native().openAt(below?.part.fd ?? -1, below?.name ?? '', O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  return openFrame({
    path: entry.path,
    parts: openAll(parts, ({ part, name }) =>
      native().openAt(part.fd, name, O_RDONLY | O_DIRECTORY),
    ),
    openBelow: below === undefined ? undefined : openBelow,
    isWhole,
    pending: isSame ? entry : undefined,
  })
}

function belowOf({ below }: Frame, name: string): NamedPart | undefined {
  const index = below?.indexes.get(name)
  return below === undefined || index === undefined ? undefined : { name, part: below.part, index }
}

/** No layer has sockets, so none has to take one away. */
function goneEntry(
  frame: Frame,
  name: string,
  old: NamedPart | undefined,
): ChangedEntry | undefined {
  if (old === undefined) return undefined
  const stat = statOf(old)
  if ((stat.mode & constants.S_IFMT) === constants.S_IFSOCK) return undefined
  const path = joinPath(frame.path, name)
  return {
    walked: { path, name, directoryFd: old.part.fd, stat, isOpaque: false },
    isGone: true,
  }
}

/** Overlayfs' mark for a name that is gone. */
function isWhiteout({ mode, deviceMajor, deviceMinor }: WalkedStat): boolean {
  const isCharacter = (mode & constants.S_IFMT) === constants.S_IFCHR
  return isCharacter && deviceMajor === 0 && deviceMinor === 0
}

/** The time of a directory says only that something happened in it. */
function isEqual(
  { stat, directoryFd, name }: WalkedEntry,
  old: NamedPart,
  ignoresTimes: boolean,
): boolean {
  const before = statOf(old)
  if (stat.mode !== before.mode || stat.uid !== before.uid || stat.gid !== before.gid) return false
  if (!hasEqualXattrs({ stat, directoryFd, name }, { stat: before, ...placeOf(old) })) return false
  if (isDirectory(stat.mode)) return true
  if (!ignoresTimes && !hasEqualTime(stat, before)) return false
  switch (stat.mode & constants.S_IFMT) {
    case constants.S_IFREG:
      return stat.size === before.size && hasEqualContent({ directoryFd, name }, placeOf(old))
    case constants.S_IFLNK:
      return native().readLinkAt(directoryFd, name) === native().readLinkAt(old.part.fd, old.name)
    default:
      return stat.deviceMajor === before.deviceMajor && stat.deviceMinor === before.deviceMinor
  }
}

/** To the nanosecond: whether a file that is written again with the same bytes counts must not hang on the second. */
function hasEqualTime(a: WalkedStat, b: WalkedStat): boolean {
  return a.mtimeSeconds === b.mtimeSeconds && a.mtimeNanoseconds === b.mtimeNanoseconds
}

type Place = Pick<WalkedEntry, 'directoryFd' | 'name'>

function placeOf({ part, name }: NamedPart): Place {
  return { directoryFd: part.fd, name }
}

function hasEqualXattrs(
  one: Place & { readonly stat: WalkedStat },
  other: Place & { readonly stat: WalkedStat },
): boolean {
  const [a, b] = [one, other].map(({ stat, directoryFd, name }) =>
    stat.hasXattrs ? imageXattrs(readXattrs(directoryFd, name)) : new Map<string, Buffer>(),
  )
  if (a === undefined || b === undefined || a.size !== b.size) return false
  return [...a].every(([name, value]) => b.get(name)?.equals(value) === true)
}

const compareBytes = 256 * 1024

function hasEqualContent(one: Place, other: Place): boolean {
  const fds: number[] = []
  try {
    for (const { directoryFd, name } of [one, other])
      fds.push(native().openAt(directoryFd, name, O_RDONLY | O_NONBLOCK))
    const [a = -1, b = -1] = fds
    const buffers = [Buffer.allocUnsafe(compareBytes), Buffer.allocUnsafe(compareBytes)] as const
    for (;;) {
      const got = readSync(a, buffers[0], 0, compareBytes, null)
      const gotBelow = readFully(b, buffers[1].subarray(0, got))
      if (got !== gotBelow) return false
      if (got === 0) return readSync(b, buffers[1], 0, 1, null) === 0
      if (!buffers[0].subarray(0, got).equals(buffers[1].subarray(0, got))) return false
    }
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

/** Bytes read until the buffer is full or the file ends. */
function readFully(fd: number, buffer: Buffer): number {
  let done = 0
  while (done < buffer.length) {
    const got = readSync(fd, buffer, done, buffer.length - done, null)
    if (got === 0) break
    done += got
  }
  return done
}

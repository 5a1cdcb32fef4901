// Walks what one tree has beyond another. For an overlay only its upper directories are walked, for copies the whole tree;
// both give the same: entries that are new or other than below, what is gone, and the directories above either. An
// entry that was only touched is no change. So a layer does not tell how the tree was kept.
//
// A layer cannot link to a file of the layers below: where a file gets a new name, all its names are changes. Names that
// part from one another and stay equal in everything are none: an overlay parts them when a file is only opened.

import { closeSync, constants, openSync } from 'node:fs'
import { native } from '../native/native.ts'
import { isEqualEntry, type PlacedStat } from './equal-entries.ts'
import {
  closeParts,
  mergeNames,
  type NamedPart,
  numberOf,
  type OpenPart,
  openPart,
  statOf,
  type WalkedStat,
} from './merged-directory.ts'
import { compareNames } from './name-bytes.ts'
import { joinPath, rootPath } from './tar-path.ts'
import { checkDepth, entryOf, isDirectory, openAll, type WalkedEntry } from './tree-walk.ts'

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
  /** The tree is a clone of the one below: a file with its number and its change time is that file. */
  readonly isClone?: boolean
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

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/** Visits the changes, directories before what is in them, names in the order of their bytes. */
export function walkChanges(options: ChangeWalkOptions): Generator<ChangedEntry, void> {
  let joined: ReadonlySet<string> | undefined
  return walkCompared(options, compared => {
    if (!isUnchanged(compared, options)) return false
    const { stat } = compared.entry
    if (stat.identity === '' || isDirectory(stat.mode)) return true
    joined ??= filesWithNewNames(options)
    return !joined.has(stat.identity)
  })
}

/** An entry and what has its name in the tree below. */
interface Compared {
  readonly entry: WalkedEntry
  readonly named: NamedPart
  readonly old: NamedPart | undefined
}

/** Identities of files with several names that were not all one file below. */
function filesWithNewNames(options: ChangeWalkOptions): ReadonlySet<string> {
  const found = new Set<string>()
  const oldFiles = new Map<string, string>()
  const walk = walkCompared(options, compared => {
    const { path, stat } = compared.entry
    if (stat.identity === '' || isDirectory(stat.mode)) return true
    const { old } = compared
    // A file with one name has no identity; its name is as good.
    const oldFile = old === undefined ? '' : statOf(old).identity || `/${path}`
    const known = oldFiles.get(stat.identity)
    oldFiles.set(stat.identity, oldFile)
    if ((known ?? oldFile) !== oldFile || !isUnchanged(compared, options)) found.add(stat.identity)
    return true
  })
  for (const _ of walk) continue
  return found
}

/** Visits what `isSame` says no to, what is gone, and the directories above either. */
function* walkCompared(
  options: ChangeWalkOptions,
  isSame: (compared: Compared) => boolean,
): Generator<ChangedEntry, void> {
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
      const visited = visit(top, value, { isOverlay, isSame })
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
  readonly isKept: boolean
}

function visit(
  frame: Frame,
  { name, named }: NameToVisit,
  {
    isOverlay,
    isSame,
  }: { readonly isOverlay: boolean; readonly isSame: (compared: Compared) => boolean },
): Visited {
  const old = belowOf(frame, name)
  const [top] = named
  if (top === undefined || (isOverlay && isWhiteout(statOf(top))))
    return { change: goneEntry(frame, name, old), directory: undefined }
  const { entry: walked, directories } = entryOf(frame.path, named, isOverlay)
  // Names that an opaque directory hides are told one by one.
  const entry = { ...walked, isOpaque: false }
  const isKept = isSame({ entry, named: top, old })
  const change = isKept ? undefined : { walked: entry, isGone: false }
  if (!isDirectory(entry.stat.mode)) return { change, directory: undefined }
  const below = old !== undefined && isDirectory(statOf(old).mode) ? old : undefined
  // Below what hides everything nothing shows through either, and needs no mark of its own.
  const isWhole = frame.isWhole || walked.isOpaque
  return { change, directory: { entry, parts: directories, below, isWhole, isKept } }
}

function enter({ entry, parts, below, isWhole, isKept }: VisitedDirectory): Frame {
  const openBelow = (): number =>
    native().openAt(below?.part.fd ?? -1, below?.name ?? '', O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  return openFrame({
    path: entry.path,
    parts: openAll(parts, ({ part, name }) =>
      native().openAt(part.fd, name, O_RDONLY | O_DIRECTORY),
    ),
    openBelow: below === undefined ? undefined : openBelow,
    isWhole,
    pending: isKept ? entry : undefined,
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

function isUnchanged(
  { entry, named, old }: Compared,
  { ignoresTimes, isClone = false }: ChangeWalkOptions,
): boolean {
  if (old === undefined) return false
  return (isClone && isUntouched(named, old)) || isEqualEntry(entry, placed(old), ignoresTimes)
}

function placed(named: NamedPart): PlacedStat {
  return { directoryFd: named.part.fd, name: named.name, stat: statOf(named) }
}

/** Whatever is done to a file or directory sets its change time. */
function isUntouched(named: NamedPart, old: NamedPart): boolean {
  const fields = ['inodeHigh', 'inodeLow', 'ctimeSeconds', 'ctimeNanoseconds'] as const
  return fields.every(field => numberOf(named, field) === numberOf(old, field))
}

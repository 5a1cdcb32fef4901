// Hard links in trees that are copies or btrfs snapshots. In an overlay a name that is written to parts from the others of its
// file, so such a tree starts with every name a file of its own. When a tree is done, whatever kept it, names of one file
// that are still equal in everything are one file: so all kinds of trees give the same layers.

import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryPrefix } from '../core/atomic-file.ts'
import { randomHex } from '../core/random-hex.ts'
import { isEqualEntry, type PlacedStat } from '../layer/equal-entries.ts'
import { type NamedPart, numberOf, statOf } from '../layer/merged-directory.ts'
import { oPath, openPlace } from '../native/in-root.ts'
import { copyFields, copyWidth, native } from '../native/native.ts'

/** Files with several names in a tree: the names of each, in the order of the walk. */
export type LinkGroups = readonly (readonly string[])[]

/** Longer than the kernel's clock stands still. */
const clockTickMs = 12

/** What a copy was made of, and when it was complete. */
export interface LinksToRestore {
  /** Joins again, in the copy, what was one file before and is as it was. */
  restore(tree: string): void
}

/** The files with several names in a tree. */
export function findLinks(tree: string): LinkGroups {
  const byFile = new Map<string, string[]>()
  for (const { path, named } of walk(tree)) {
    const { identity } = statOf(named)
    if (identity === '') continue
    const names = byFile.get(identity)
    if (names === undefined) byFile.set(identity, [path])
    else names.push(path)
  }
  return [...byFile.values()].filter(names => names.length > 1)
}

/** To be asked for when the copy is complete and nobody has written to it. `stampFile` is made and removed. */
export async function linksToRestore(
  original: string,
  groups: LinkGroups,
  stampFile: string,
): Promise<LinksToRestore> {
  if (groups.length === 0) return { restore() {} }
  await sleep(clockTickMs)
  const isUntouched = beforeNow(stampFile)
  const groupOf = new Map(groups.flatMap((group, index) => group.map(name => [name, index])))
  return {
    restore(tree) {
      const first = new Map<number, Place>()
      const originalFd = openSync(original, oPath | O_DIRECTORY)
      try {
        for (const entry of walk(tree)) {
          const group = groupOf.get(entry.path)
          if (group === undefined || numberOf(entry.named, 'nlink') > 1) continue
          if (!isUntouched(entry) && !isAsIn(originalFd, entry)) continue
          const one = first.get(group)
          if (one === undefined) first.set(group, placeOf(entry))
          else joinNames(one, entry)
        }
      } finally {
        closeSync(originalFd)
        for (const { directoryFd } of first.values()) closeSync(directoryFd)
      }
    },
  }
}

/** Makes every name but the first of each group a file of its own that is equal in all but its change time. */
export function partLinks(tree: string, groups: LinkGroups): void {
  const others = new Set(groups.flatMap(([, ...names]) => names))
  if (others.size === 0) return
  for (const entry of walk(tree)) if (others.has(entry.path)) partFromOthers(entry)
}

interface Place {
  readonly directoryFd: number
  readonly name: string
}

interface WalkedFile extends Place {
  readonly path: string
  readonly named: NamedPart
}

/** True for entries that nothing happened to since before now. */
function beforeNow(stampFile: string): (entry: WalkedFile) => boolean {
  writeFileSync(stampFile, '')
  const { mtimeSeconds, mtimeNanoseconds } = native().statFile(stampFile)
  rmSync(stampFile)
  return ({ named }) => {
    const changed = numberOf(named, 'ctimeSeconds')
    return (
      changed < mtimeSeconds ||
      (changed === mtimeSeconds && numberOf(named, 'ctimeNanoseconds') < mtimeNanoseconds)
    )
  }
}

function isAsIn(originalFd: number, { path, directoryFd, name }: WalkedFile): boolean {
  using place = openPlace(originalFd, path)
  return areEqual(place, { directoryFd, name })
}

/** True where both names are there and nothing tells their files apart. */
export function areEqual(one: Place, other: Place): boolean {
  const [a, b] = [placedStat(one), placedStat(other)]
  return a !== undefined && b !== undefined && isEqualEntry(a, b, false)
}

function placedStat({ directoryFd, name }: Place): PlacedStat | undefined {
  const stat = native().statAt(directoryFd, name)
  if (stat === undefined) return undefined
  // Both sides of a comparison come from here, so the two numbers of a device may stay one.
  const device = { deviceMajor: stat.rdev, deviceMinor: 0 }
  return { directoryFd, name, stat: { ...stat, ...device, hasXattrs: true, identity: '' } }
}

/** The directory keeps its time: nothing happened in it. */
function partFromOthers({ directoryFd, name, named }: WalkedFile): void {
  keepingTimes(directoryFd, () => {
    const temporaryName = `${temporaryPrefix}${randomHex(16)}`
    copyNode({ directoryFd, name }, temporaryName, named)
    native().renameAt(directoryFd, temporaryName, directoryFd, name)
  })
}

/** Owner before attributes before mode: a change of owner clears file capabilities and set-id bits. */
function copyNode({ directoryFd, name }: Place, newName: string, named: NamedPart): void {
  const calls = native()
  const stat = statOf(named)
  const permissions = stat.mode & 0o7777
  const type = stat.mode & S_IFMT
  if (type === S_IFREG) {
    const numbers = new Float64Array(copyWidth)
    for (const key of ['mtimeSeconds', 'mtimeNanoseconds', 'uid', 'gid'] as const)
      numbers[copyFields[key]] = stat[key]
    numbers[copyFields.mode] = permissions
    calls.copyFileAt(directoryFd, name, directoryFd, newName, numbers)
  } else {
    if (type === S_IFLNK)
      calls.makeSymlinkAt(calls.readLinkAt(directoryFd, name), directoryFd, newName)
    else calls.makeNodeAt(directoryFd, newName, stat.mode, stat.deviceMajor, stat.deviceMinor)
    calls.setOwnerAt(directoryFd, newName, stat.uid, stat.gid)
  }
  for (const xattr of calls.listXattrsAt(directoryFd, name))
    calls.setXattrAt(directoryFd, newName, xattr, calls.getXattrAt(directoryFd, name, xattr))
  if (type !== S_IFREG && type !== S_IFLNK) calls.setModeAt(directoryFd, newName, permissions)
  calls.setTimesAt(directoryFd, newName, stat.mtimeSeconds, stat.mtimeNanoseconds)
}

function placeOf({ directoryFd, name }: Place): Place {
  // The walk closes its own.
  return { directoryFd: openSync(`/proc/self/fd/${directoryFd}`, oPath), name }
}

function joinNames(file: Place, { directoryFd, name }: Place): void {
  keepingTimes(directoryFd, () => {
    native().unlinkAt(directoryFd, name)
    native().makeLinkAt(file.directoryFd, file.name, directoryFd, name)
  })
}

/** Does work in a directory that counts as none: the directory keeps its time. */
export function keepingTimes(directoryFd: number, work: () => void): void {
  const directory = `/proc/self/fd/${directoryFd}/.`
  const { mtimeSeconds, mtimeNanoseconds } = native().statFile(directory)
  work()
  native().setTimes(directory, mtimeSeconds, mtimeNanoseconds)
}

const { O_RDONLY, O_DIRECTORY, S_IFMT, S_IFDIR, S_IFLNK, S_IFREG } = constants

/** Everything in a tree but directories; entries are valid until the walk goes on. */
function* walk(tree: string): Generator<WalkedFile, void> {
  yield* walkDirectory(openSync(tree, O_RDONLY | O_DIRECTORY), '')
}

/** Takes the descriptor. */
function* walkDirectory(directoryFd: number, prefix: string): Generator<WalkedFile, void> {
  try {
    const part = { fd: directoryFd, scan: native().scanDirectory(directoryFd, false) }
    for (const [index, name] of part.scan.names.entries()) {
      const named = { name, part, index }
      const path = prefix + name
      if ((numberOf(named, 'mode') & S_IFMT) !== S_IFDIR) yield { directoryFd, name, path, named }
      else
        yield* walkDirectory(native().openAt(directoryFd, name, O_RDONLY | O_DIRECTORY), `${path}/`)
    }
  } finally {
    closeSync(directoryFd)
  }
}

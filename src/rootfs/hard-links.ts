// Hard links in trees that are copies. In an overlay a name that is written to parts from the others of its file, so a copy
// starts with every name a file of its own; when it is done, names that nobody touched become one file again. So both
// kinds of trees give the same layers.

import { closeSync, constants, openSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { oPath } from '../native/in-root.ts'
import { native, scanFields, scanWidth } from '../native/native.ts'

/** Names of one file, in the order of the walk. */
type LinkGroup = readonly string[]

/** Longer than the kernel's clock stands still. */
const clockTickMs = 12

/** What a copy was made of, and when it was complete. */
export interface LinksToRestore {
  /** Joins again, in the copy, what was one file before and is as it was. */
  restore(tree: string): void
}

/** To be asked for when the copy is complete and nobody has written to it. `stampFile` is made and removed. */
export async function linksToRestore(original: string, stampFile: string): Promise<LinksToRestore> {
  const groups = findLinkGroups(original)
  if (groups.length === 0) return { restore() {} }
  await sleep(clockTickMs)
  const isUntouched = beforeNow(stampFile)
  const groupOf = new Map(groups.flatMap((group, index) => group.map(name => [name, index])))
  return {
    restore(tree) {
      const first = new Map<number, Place>()
      try {
        for (const entry of walk(tree)) {
          const group = groupOf.get(entry.path)
          if (group === undefined || !isUntouched(entry)) continue
          const one = first.get(group)
          if (one === undefined) first.set(group, placeOf(entry))
          else joinNames(one, entry)
        }
      } finally {
        for (const { directoryFd } of first.values()) closeSync(directoryFd)
      }
    },
  }
}

interface Place {
  readonly directoryFd: number
  readonly name: string
}

interface WalkedFile extends Place {
  readonly path: string
  /** Value of one of the scan's numbers. */
  readonly field: (name: keyof typeof scanFields) => number
}

function findLinkGroups(tree: string): LinkGroup[] {
  const byFile = new Map<string, string[]>()
  for (const { path, field } of walk(tree)) {
    if (field('nlink') < 2) continue
    const file = `${field('dev')}:${field('inodeHigh')}:${field('inodeLow')}`
    byFile.set(file, [...(byFile.get(file) ?? []), path])
  }
  return [...byFile.values()].filter(names => names.length > 1)
}

/** True for entries that nothing happened to since before now. */
function beforeNow(stampFile: string): (entry: WalkedFile) => boolean {
  writeFileSync(stampFile, '')
  const { mtimeSeconds, mtimeNanoseconds } = native().statFile(stampFile)
  rmSync(stampFile)
  return ({ field }) => {
    const changed = field('ctimeSeconds')
    return (
      changed < mtimeSeconds ||
      (changed === mtimeSeconds && field('ctimeNanoseconds') < mtimeNanoseconds)
    )
  }
}

function placeOf({ directoryFd, name }: Place): Place {
  // The walk closes its own.
  return { directoryFd: openSync(`/proc/self/fd/${directoryFd}`, oPath), name }
}

/** The directory keeps its time: nothing happened in it. */
function joinNames(file: Place, { directoryFd, name }: Place): void {
  const calls = native()
  const directory = `/proc/self/fd/${directoryFd}/.`
  const { mtimeSeconds, mtimeNanoseconds } = calls.statFile(directory)
  calls.unlinkAt(directoryFd, name)
  calls.makeLinkAt(file.directoryFd, file.name, directoryFd, name)
  calls.setTimes(directory, mtimeSeconds, mtimeNanoseconds)
}

const { O_RDONLY, O_DIRECTORY, S_IFMT, S_IFDIR } = constants

/** Everything in a tree but directories; entries are valid until the walk goes on. */
function* walk(tree: string): Generator<WalkedFile, void> {
  yield* walkDirectory(openSync(tree, O_RDONLY | O_DIRECTORY), '')
}

/** Takes the descriptor. */
function* walkDirectory(directoryFd: number, prefix: string): Generator<WalkedFile, void> {
  try {
    const { names, stats } = native().scanDirectory(directoryFd, false)
    for (const [index, name] of names.entries()) {
      const field = (wanted: keyof typeof scanFields): number =>
        stats[index * scanWidth + scanFields[wanted]] ?? 0
      const path = prefix + name
      if ((field('mode') & S_IFMT) !== S_IFDIR) yield { directoryFd, name, path, field }
      else
        yield* walkDirectory(native().openAt(directoryFd, name, O_RDONLY | O_DIRECTORY), `${path}/`)
    }
  } finally {
    closeSync(directoryFd)
  }
}

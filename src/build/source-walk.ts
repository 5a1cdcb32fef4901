// What of a source goes into the image: its directories, each with what is taken of it. A directory whose name the
// patterns do not mean comes only with something in it that they do.

import { type DirectoryMatch, type PathPatterns } from '../plan/path-patterns.ts'
import type { SourceEntry } from './source-entry.ts'
import { joinPath, type SourceTree } from './source-tree.ts'

/** What is taken of a source; patterns are over paths relative to it. */
export interface WalkRules {
  /** What a directory stands for: what is in it, or that and its own looks. */
  readonly directory: 'contents' | 'itself'
  /** Undefined: everything. */
  readonly include?: PathPatterns | undefined
  readonly exclude?: PathPatterns | undefined
}

/** A directory of the walk; directories above come before. */
export interface WalkedDirectory {
  /** In the tree. */
  readonly path: string
  /** In the source, '' for the source itself. */
  readonly relative: string
  readonly entry: SourceEntry
  /** There only for the sake of what is in it. */
  readonly isImplied: boolean
  /** What is taken of it but directories, names sorted by their bytes. */
  readonly files: readonly SourceEntry[]
}

interface PendingDirectory {
  readonly path: string
  readonly relative: string
  readonly entry: SourceEntry
  readonly include: DirectoryMatch | undefined
  readonly exclude: DirectoryMatch | undefined
  readonly isTaken: boolean
  /** The directories above it that are not told of yet, outermost first. */
  readonly untold: readonly { told: boolean; readonly directory: WalkedDirectory }[]
}

/** Walks a directory of the tree; the source itself is always taken. */
export function* walkSource(
  tree: SourceTree,
  source: string,
  rules: WalkRules,
): Generator<WalkedDirectory> {
  const entry = tree.find(source)
  if (entry === undefined) return
  const stack: PendingDirectory[] = [
    {
      path: source,
      relative: '',
      entry,
      include: undefined,
      exclude: undefined,
      isTaken: true,
      untold: [],
    },
  ]
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const { files, directories } = sortOut(tree, at, rules)
    const own: WalkedDirectory = {
      path: at.path,
      relative: at.relative,
      entry: at.entry,
      isImplied: !at.isTaken,
      files,
    }
    let untold = at.untold.filter(({ told }) => !told)
    if (at.isTaken || files.length > 0) {
      for (const above of untold) {
        above.told = true
        yield above.directory
      }
      yield own
      untold = []
    } else untold = [...untold, { told: false, directory: own }]
    for (const directory of directories.toReversed()) stack.push({ ...directory, untold })
  }
}

/** Files that are taken, and directories that are or may hold something that is. */
function sortOut(
  tree: SourceTree,
  at: PendingDirectory,
  { include, exclude }: WalkRules,
): { files: SourceEntry[]; directories: Omit<PendingDirectory, 'untold'>[] } {
  const files: SourceEntry[] = []
  const directories: Omit<PendingDirectory, 'untold'>[] = []
  for (const entry of tree.list(at.path)) {
    const relative = joinPath(at.relative, entry.name)
    const isExcluded = exclude !== undefined && exclude.matches(relative, at.exclude)
    const isMeant = include === undefined || include.matches(relative, at.include)
    const isTaken = isMeant && !isExcluded
    if (entry.type !== 'directory') {
      if (isTaken) files.push(entry)
      continue
    }
    if (isExcluded && !exclude.hasNegations) continue
    // Directories that no pattern can mean are not even listed.
    if (!isMeant && !include.mayMatchBelow(relative)) continue
    directories.push({
      path: joinPath(at.path, entry.name),
      relative,
      entry,
      include: include?.enter(relative, at.include),
      exclude: exclude?.enter(relative, at.exclude),
      isTaken,
    })
  }
  return { files, directories }
}

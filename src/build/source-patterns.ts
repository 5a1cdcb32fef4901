// What a source of COPY or ADD means: a path, or wildcards of Go's filepath.Match from their first component on. Links
// before the first wildcard are followed inside the tree, a match that is a link is followed when it is copied.

import { closeSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { native } from '../native/native.ts'
import { compileIgnorePattern } from '../plan/ignore-pattern.ts'
import { guestPath } from '../plan/plan.ts'
import { followLinks } from './source-links.ts'
import { baseOf, joinPath, parentOf, type SourceTree } from './source-tree.ts'

/** A path that a source stands for. */
export interface SourceMatch {
  /** As it was written or found, relative to the root. */
  readonly written: string
  /** The last component of that: the name of the copy in a directory. */
  readonly name: string
  /** Relative to the root, links followed. */
  readonly path: string
}

/** Without wildcards the path, whether it is there or not; with them what matches, in order. @throws DESCRIPTION_INVALID for a pattern that is none; FILE_NOT_FOUND where the directory before the wildcards is missing */
export function matchSource(tree: SourceTree, pattern: string): SourceMatch[] {
  const components = guestPath(pattern).slice(1).split('/')
  const first = components.findIndex(hasWildcard)
  if (first < 0) return [matchOf(tree, components.join('/'))]
  const start = followInTree(tree, components.slice(0, first).join('/'))
  if (tree.find(start)?.type !== 'directory')
    throw notFound(tree, components.slice(0, first).join('/'))
  const names = components.slice(first).map(component => compileName(component, pattern))
  return [...findMatches(tree, start, names)].map(found => matchOf(tree, found))
}

/** A path without wildcards, links followed. @throws FILE_NOT_FOUND for a loop */
export function matchPath(tree: SourceTree, written: string): SourceMatch {
  return matchOf(tree, guestPath(written).slice(1))
}

function matchOf(tree: SourceTree, entryPath: string): SourceMatch {
  return { written: entryPath, name: baseOf(entryPath), path: followInTree(tree, entryPath) }
}

/** Follows every link of a path, its last component, too. @throws FILE_NOT_FOUND for a loop */
export function followInTree(tree: SourceTree, entryPath: string): string {
  return followLinks({ readLink: link => readLinkOf(tree, link) }, entryPath)
}

/** What a link of the tree says; undefined where the path is no link. */
export function readLinkOf(tree: SourceTree, entryPath: string): string | undefined {
  if (tree.find(entryPath)?.type !== 'link') return undefined
  const fd = tree.open(parentOf(entryPath))
  try {
    return native().readLinkAt(fd, baseOf(entryPath))
  } finally {
    closeSync(fd)
  }
}

/** Depth first, as Go's filepath.Walk; only directories themselves are entered, no links to them. */
function* findMatches(
  tree: SourceTree,
  directory: string,
  [matches, ...rest]: readonly ((name: string) => boolean)[],
): Generator<string> {
  if (matches === undefined) return
  for (const { name, type } of tree.list(directory)) {
    if (!matches(name)) continue
    const found = joinPath(directory, name)
    if (rest.length === 0) yield found
    else if (type === 'directory') yield* findMatches(tree, found, rest)
  }
}

/** A wildcard that no backslash takes away. */
export function hasWildcard(text: string): boolean {
  return /^(?:[^\\*?[]|\\.)*[*?[]/s.test(text)
}

function compileName(component: string, pattern: string): (name: string) => boolean {
  // Two asterisks mean no more than one here, and an exclamation mark is a character.
  const single = component.replace(/\\.|\*+/gs, part => (part.startsWith('*') ? '*' : part))
  try {
    const compiled = compileIgnorePattern(single.replace(/^!/, '\\!'))
    return name => compiled.matches(name)
  } catch (cause) {
    throw new KauriError('DESCRIPTION_INVALID', `syntax error in pattern: ${pattern}`, { cause })
  }
}

/** BuildKit's words for a source that is missing; `entryPath` is relative to the root. */
export function notFound({ name }: SourceTree, entryPath: string): KauriError {
  return new KauriError(
    'FILE_NOT_FOUND',
    `failed to compute cache key: failed to calculate checksum of ref ${name}: "/${entryPath}": not found`,
  )
}

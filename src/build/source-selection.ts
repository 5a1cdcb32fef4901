// Sources that steps name: paths and patterns in a context or in the root of another stage. What they select has a digest,
// which is what a step reads; of stages it is remembered, so that a build with nothing changed opens no root.

import { canonicalJson, type Json } from '../core/canonical-json.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { compilePathPatterns, type PathPatterns } from '../plan/path-patterns.ts'
import { type GuestPath, guestPath, type SourceRoot } from '../plan/plan.ts'
import { memoryIndex } from './content-index.ts'
import { copySource } from './copy-source.ts'
import { digestSource, type ReadableSource } from './source-digest.ts'
import {
  hasWildcard,
  matchPath,
  matchSource,
  notFound,
  type SourceMatch,
} from './source-patterns.ts'
import { joinPath, sourceTree } from './source-tree.ts'
import type { WalkRules } from './source-walk.ts'
import type { StepContext } from './steps/step.ts'

/** What of a root is meant. */
export interface Selection {
  readonly from: SourceRoot
  /** Paths below the root, with wildcards of Go's filepath.Match. */
  readonly patterns: readonly string[]
  /** A pattern's directories stay; `/./` says from where on. */
  readonly parents: boolean
  readonly excludes: readonly string[]
}

/** A pattern as its matches and what is taken of each. */
export interface SelectedPattern {
  readonly pattern: string
  readonly matches: readonly SourceMatch[]
  readonly rules: WalkRules
}

/** Raised whenever equal files would get another digest than before. */
const digestFormat = 1

/** The digest of all that is selected. @throws FILE_NOT_FOUND for a missing source, in BuildKit's words; DESCRIPTION_INVALID */
export async function digestSelection(context: StepContext, selection: Selection): Promise<Digest> {
  const { from, patterns, parents, excludes } = selection
  if (from.kind === 'context')
    return await withSource(context, from, source => digestPatterns(source, selection))
  const selector: Json = { format: digestFormat, patterns, parents, excludes }
  return await context.stageDigest(from.stage, selector, tree =>
    digestPatterns(stageSource(tree.fd, context), selection),
  )
}

/** Does something with a root; what it is given ends with it. */
export async function withSource<T>(
  context: StepContext,
  from: SourceRoot,
  work: (source: ReadableSource) => Promise<T>,
): Promise<T> {
  if (from.kind === 'context') {
    const { tree, contents } = context.contexts.open(from.context)
    return await work({ tree, contents, mayChange: true, signal: context.options.signal })
  }
  using root = await context.openStage(from.stage)
  return await work(stageSource(root.fd, context))
}

function stageSource(rootFd: number, { options }: StepContext): ReadableSource {
  const tree = sourceTree(rootFd, { name: 'stage', keepsOwners: true })
  return { tree, contents: memoryIndex(), mayChange: false, signal: options.signal }
}

async function digestPatterns(source: ReadableSource, selection: Selection): Promise<Digest> {
  const digests: Json[] = []
  for (const { matches, rules } of selectPatterns(source, selection)) {
    for (const match of matches) digests.push(await digestMatch(source, match, rules))
    digests.push(null)
  }
  return digestOf(canonicalJson(digests))
}

async function digestMatch(
  source: ReadableSource,
  match: SourceMatch,
  rules: WalkRules,
): Promise<Digest> {
  const digest = await digestSource(source, match, rules)
  if (digest === undefined) throw notFound(source.tree, match.written)
  return digest
}

/** Finds what the patterns mean. @throws FILE_NOT_FOUND, DESCRIPTION_INVALID */
export function selectPatterns(
  source: ReadableSource,
  { patterns, parents, excludes }: Omit<Selection, 'from'>,
): SelectedPattern[] {
  const exclude = excludes.length === 0 ? undefined : compilePathPatterns(excludes)
  return patterns.map(pattern => {
    if (!parents)
      return {
        pattern,
        matches: matchSource(source.tree, pattern),
        rules: { directory: 'contents', exclude },
      }
    const [start, below] = splitPivot(pattern)
    const include = compilePathPatterns([below])
    const matches = matchSource(source.tree, start)
    if (!hasWildcard(start) && !hasWildcard(below))
      requireMatch(source, matches, { below, isLeftOut: leavesOut(exclude, below) })
    return { pattern, matches, rules: { directory: 'contents', include, exclude } }
  })
}

/** The directory that paths are kept from, and what is meant below it. */
function splitPivot(pattern: string): [start: string, below: string] {
  const pivot = pattern.indexOf('/./')
  const start = pivot < 0 ? '/' : pattern.slice(0, pivot)
  return [start, guestPath(pivot < 0 ? pattern : pattern.slice(pivot + 3)).slice(1)]
}

/** One of the excluded names is on the way, and nothing is taken in again. */
function leavesOut(exclude: PathPatterns | undefined, below: string): boolean {
  if (exclude === undefined || exclude.hasNegations) return false
  const names = below.split('/')
  return names.some((_, index) => exclude.matches(names.slice(0, index + 1).join('/'), undefined))
}

function requireMatch(
  { tree }: ReadableSource,
  matches: readonly SourceMatch[],
  { below, isLeftOut }: { readonly below: string; readonly isLeftOut: boolean },
): void {
  for (const { written, path } of matches)
    if (isLeftOut || tree.find(joinPath(path, below)) === undefined)
      throw notFound(tree, joinPath(written, below))
}

/** The digest of one path, links followed inside the root, itself with its looks. @throws FILE_NOT_FOUND in BuildKit's words */
export async function digestPath(
  context: StepContext,
  from: SourceRoot,
  path: string,
): Promise<Digest> {
  const digest = (source: ReadableSource): Promise<Digest> =>
    digestMatch(source, matchPath(source.tree, path), { directory: 'itself' })
  if (from.kind === 'context') return await withSource(context, from, digest)
  const selector: Json = { format: digestFormat, path: guestPath(path) }
  return await context.stageDigest(from.stage, selector, tree =>
    digest(stageSource(tree.fd, context)),
  )
}

/** Copies one path, links followed inside the root, to a place in a tree; of a context all is root's, times stay. @throws FILE_NOT_FOUND; PROCESS_FAILED where it changed since its digest was taken */
export async function copyPath(
  context: StepContext,
  { from, path }: { readonly from: SourceRoot; readonly path: string },
  { rootFd, target }: { readonly rootFd: number; readonly target: GuestPath },
): Promise<void> {
  await withSource(context, from, async source => {
    const match = matchPath(source.tree, path)
    const to = { rootFd, target, targetIsDirectory: false }
    await copySource(source, match, { directory: 'itself' }, to)
  })
}

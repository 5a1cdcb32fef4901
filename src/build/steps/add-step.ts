// COPY and ADD. What the sources select is what the step reads; their names and addresses are not, so that a renamed
// directory or another mirror of equal bytes changes nothing.

import { closeSync, constants, openSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../../core/errors.ts'
import { oPath } from '../../native/in-root.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseChmod } from '../../plan/chmod-expression.ts'
import { compilePathPatterns } from '../../plan/path-patterns.ts'
import type { AddStep, FileSource } from '../../plan/plan.ts'
import { memoryIndex } from '../content-index.ts'
import { copySource } from '../copy-source.ts'
import { type CopyTarget, copyText } from '../copy-target.ts'
import type { RemoteFile, RemoteTree, ResolvedSource } from '../remote-source.ts'
import type { ReadableSource } from '../source-digest.ts'
import { findOwner } from '../source-owner.ts'
import type { SourceMatch } from '../source-patterns.ts'
import { digestSelection, type Selection, selectPatterns, withSource } from '../source-selection.ts'
import { sourceTree } from '../source-tree.ts'
import type { WalkRules } from '../source-walk.ts'
import { unpackSource } from '../unpack-source.ts'
import { locateErrors } from './locate-errors.ts'
import { nothingInstalled, type PreparedStep, type StepContext, type StepGround } from './step.ts'

type PatternSource = Extract<FileSource, { readonly kind: 'pattern' }>

/** @throws FILE_NOT_FOUND for a missing source, in BuildKit's words; DESCRIPTION_INVALID for patterns and modes that are none; what fetching throws */
export async function prepareAdd(step: AddStep, context: StepContext): Promise<PreparedStep> {
  return await locateErrors(step, async () => {
    const patterns = step.sources.filter(isPattern).map(({ pattern }) => pattern)
    const selection = { ...step, patterns }
    const remote = await resolveRemote(step, context)
    const selected = patterns.length === 0 ? undefined : await digestSelection(context, selection)
    return {
      reads: {
        selected: selected ?? null,
        remote: [...remote.values()].map(({ digest, name }) => [digest, name]),
      },
      perform: ground =>
        locateErrors(step, async () => {
          await add({ step, context, remote }, ground)
          if (selected !== undefined) await requireSelected(context, selection, selected)
          return nothingInstalled
        }),
    }
  })
}

/** Files are proven one by one; in directories that were listed again one may have gone. @throws PROCESS_FAILED */
async function requireSelected(
  context: StepContext,
  selection: Selection,
  selected: Digest,
): Promise<void> {
  if (selection.from.kind === 'stage') return
  const { tree } = context.contexts.open(selection.from.context)
  if (tree.isRemembered() || (await digestSelection(context, selection)) === selected) return
  throw new KauriError('PROCESS_FAILED', `${tree.name} changed while it was used`, {
    hint: 'build again when nothing writes there',
  })
}

function isPattern(source: FileSource): source is PatternSource {
  return source.kind === 'pattern'
}

type Resolved = ReadonlyMap<FileSource, ResolvedSource>

async function resolveRemote(step: AddStep, { tools, options }: StepContext): Promise<Resolved> {
  const resolved = new Map<FileSource, ResolvedSource>()
  for (const source of step.sources) {
    if (source.kind !== 'http' && source.kind !== 'git') continue
    if (tools.remoteSources === undefined)
      throw new KauriError('UNSUPPORTED', 'files of other machines are not fetched here')
    const { emit, signal } = options
    const found = await tools.remoteSources.resolve(source, {
      emit,
      signal,
      where: step.where,
    })
    resolved.set(source, found)
  }
  return resolved
}

/** A step that is carried out. */
interface Work {
  readonly step: AddStep
  readonly context: StepContext
  readonly remote: Resolved
}

async function add(work: Work, { root }: StepGround): Promise<void> {
  const { step, context, remote } = work
  using tree = root.open()
  const { target, targetIsDirectory, owner, mode } = step
  const lookup = { rootFd: tree.fd, isEmpty: root.parent === undefined, emit: context.options.emit }
  const to: CopyTarget = {
    rootFd: tree.fd,
    target,
    targetIsDirectory,
    owner: owner === undefined ? undefined : findOwner(owner, lookup),
    chmod: mode === undefined ? undefined : parseChmod(mode),
  }
  for (const source of step.sources) {
    const found = remote.get(source)
    if (source.kind === 'text') copyText(source, to)
    else if (source.kind === 'pattern') await addPattern(work, source, to)
    else if (found !== undefined) await addRemote(work, found, to)
  }
}

async function addPattern(
  { step, context }: Work,
  { pattern }: PatternSource,
  to: CopyTarget,
): Promise<void> {
  await withSource(context, step.from, async source => {
    for (const { matches, rules } of selectPatterns(source, { ...step, patterns: [pattern] }))
      for (const match of matches)
        await addMatch(source, { match, rules, unpacks: step.unpack !== 'none' }, to)
  })
}

interface MatchedSource {
  readonly match: SourceMatch
  readonly rules: WalkRules
  readonly unpacks: boolean
}

async function addMatch(
  source: ReadableSource,
  { match, rules, unpacks }: MatchedSource,
  to: CopyTarget,
): Promise<void> {
  if (unpacks && (await unpackSource(source, match, to))) return
  await copySource(source, match, rules, to)
}

async function addRemote(
  { step, context }: Work,
  resolved: ResolvedSource,
  to: CopyTarget,
): Promise<void> {
  const { name } = resolved
  const fetched = await resolved.open(context.options.signal)
  const exclude = step.excludes.length === 0 ? undefined : compilePathPatterns(step.excludes)
  const rootFd = openSync(
    fetched.kind === 'file' ? path.dirname(fetched.path) : fetched.path,
    oPath | constants.O_DIRECTORY,
  )
  try {
    const source: ReadableSource = {
      tree: fetchedTree(rootFd, fetched),
      contents: memoryIndex(),
      mayChange: false,
      signal: context.options.signal,
    }
    const file = fetched.kind === 'file' ? path.basename(fetched.path) : ''
    const match = { written: name, name, path: file }
    await addMatch(
      source,
      { match, rules: { directory: 'itself', exclude }, unpacks: step.unpack === 'all' },
      to,
    )
  } finally {
    closeSync(rootFd)
  }
}

/** A file looks as the protocol says, whatever the one in the cache does. */
function fetchedTree(rootFd: number, fetched: RemoteFile | RemoteTree): ReadableSource['tree'] {
  const tree = sourceTree(rootFd, { name: fetched.path, keepsOwners: false })
  if (fetched.kind === 'directory') return tree
  const { mode, mtimeSeconds } = fetched
  return {
    ...tree,
    find: entryPath => {
      const entry = tree.find(entryPath)
      return entry?.type !== 'file'
        ? entry
        : { ...entry, mode, mtimeSeconds, mtimeNanoseconds: 0, links: 1 }
    },
  }
}

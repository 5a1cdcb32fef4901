// One stage from its base to its last instruction.

import { KauriError } from '../core/errors.ts'
import type { ImageConfig, RunConfig } from '../oci/image-config.ts'
import type { Platform } from '../oci/platform.ts'
import { type AddStep, guestPath, type MakeDirectoryStep } from '../plan/plan.ts'
import { checkDetails } from './check-rules.ts'
import { type ConfigDraft, createDraft, finishDraft } from './config-draft.ts'
import { historyLine } from './instruction-history.ts'
import type { WorkdirInstruction } from './instructions.ts'
import { lowerConfig } from './lower-config.ts'
import { lowerCopy } from './lower-copy.ts'
import { lowerRun } from './lower-run.ts'
import type { StageFoundation } from './stage-bases.ts'
import type { StageCommand, StageNode } from './stage-graph.ts'
import {
  createExpander,
  type LowerGround,
  nextTitle,
  positionOf,
  type StageWork,
  upperCaseWord,
  withPosition,
} from './stage-work.ts'
import { createScope, describeText, splitVariable } from './variable-scope.ts'

/** What a stage starts from: another stage, or an image or nothing with a configuration. */
export type StageOrigin =
  | { readonly kind: 'stage'; readonly base: StageWork }
  | {
      readonly kind: 'image'
      readonly platform: Platform
      readonly config: Pick<ImageConfig, 'config' | 'author'>
      /** The image's full name, for the title; undefined: there are no files to start from. */
      readonly reference?: string
    }

/** Where a node starts: on its base stage, or on what was found for it. */
export function originOf(
  foundation: StageFoundation | undefined,
  base: StageWork | undefined,
  node: StageNode,
): StageOrigin {
  if (base !== undefined) return { kind: 'stage', base }
  if (foundation === undefined)
    throw new KauriError('INTERNAL', `stage ${node.id} is lowered before its base`)
  const { platform, config } = foundation
  if (foundation.kind !== 'image') return { kind: 'image', platform, config }
  return { kind: 'image', platform, config, reference: foundation.image.reference }
}

/** A stage that starts from a directory begins with a copy of all that is in it. */
export function addDirectory(work: StageWork, foundation: StageFoundation | undefined): void {
  if (foundation?.kind !== 'directory') return
  const title = `[context ${foundation.name}] load from client`
  const step: AddStep = {
    kind: 'add',
    title,
    where: work.node.where,
    phase: 'instruction',
    from: { kind: 'context', context: foundation.context },
    sources: [{ kind: 'pattern', pattern: '/' }],
    target: guestPath('/'),
    targetIsDirectory: true,
    parents: false,
    excludes: [],
    link: false,
    unpack: 'none',
  }
  work.history.push({ ...historyLine(title, false), step: work.steps.push(step) - 1 })
}

/** A stage before its first instruction. */
export function openStage(
  ground: LowerGround,
  node: StageNode,
  origin: StageOrigin,
  stageName: string,
): StageWork {
  const work: StageWork = {
    node,
    ...startOf(origin),
    steps: [],
    history: [],
    last: {},
    title: undefined,
    titles: { total: countTitles(node, origin), done: 0, stageName },
  }
  for (const item of work.draft.variables.values()) work.scope.set(...splitVariable(item))
  if (origin.kind === 'image' && origin.reference !== undefined)
    work.title = nextTitle(ground, work, { text: `FROM ${origin.reference}`, isTrigger: false })
  return work
}

type StageStart = Pick<
  StageWork,
  'platform' | 'scope' | 'declared' | 'draft' | 'author' | 'hasDirectory'
>

function startOf(origin: StageOrigin): StageStart {
  if (origin.kind === 'image') {
    const { platform, config } = origin
    const { author } = config
    const start = { platform, author, draft: startDraft(config.config ?? {}) }
    return { ...start, scope: createScope(), declared: [], hasDirectory: false }
  }
  const { platform, scope, declared, draft, author, hasDirectory } = origin.base
  const start = { platform, author, draft: startDraft(finishDraft(draft)), hasDirectory }
  return { ...start, scope: scope.copy(), declared: [...declared] }
}

/** Triggers of the base have become instructions. */
function startDraft({ OnBuild: _OnBuild, ...base }: RunConfig): ConfigDraft {
  const draft = createDraft(base)
  const { WorkingDir = '' } = draft.plain
  if (WorkingDir !== '')
    draft.plain = { ...draft.plain, WorkingDir: joinDirectory('/', WorkingDir) }
  return draft
}

/** An image that is only read from has nothing to count. */
function countTitles(node: StageNode, origin: StageOrigin): number {
  if (node.stage === undefined) return 0
  const counted = new Set(['add', 'copy', 'run', 'workdir'])
  const base = origin.kind === 'image' && origin.reference !== undefined ? 1 : 0
  return base + node.commands.filter(({ instruction }) => counted.has(instruction.kind)).length
}

/** Lowers every instruction. @throws DESCRIPTION_INVALID with the place, PERMISSION_DENIED, UNSUPPORTED */
export function lowerInstructions(ground: LowerGround, work: StageWork): void {
  for (const command of work.node.commands)
    withPosition(positionOf(ground, command.instruction), () =>
      lowerInstruction(ground, work, command),
    )
}

function lowerInstruction(ground: LowerGround, work: StageWork, command: StageCommand): void {
  const { instruction } = command
  if (instruction.kind === 'run') lowerRun(ground, work, { ...command, instruction })
  else if (instruction.kind === 'copy' || instruction.kind === 'add')
    lowerCopy(ground, work, { ...command, instruction })
  else if (instruction.kind === 'workdir') lowerWorkdir(ground, work, { ...command, instruction })
  else lowerConfig(ground, work, instruction)
}

type WorkdirCommand = StageCommand & { readonly instruction: WorkdirInstruction }

function lowerWorkdir(ground: LowerGround, work: StageWork, command: WorkdirCommand): void {
  const { instruction } = command
  const path = createExpander(ground, work, instruction)(instruction.path).word
  if (!work.hasDirectory && !path.startsWith('/'))
    ground.options.linter.report(
      'WorkdirRelativePath',
      checkDetails.workdirRelativePath(path),
      instruction,
    )
  work.hasDirectory = true
  const directory = joinDirectory(work.draft.plain.WorkingDir ?? '/', path)
  work.draft.plain = { ...work.draft.plain, WorkingDir: directory }
  const line = historyLine(`WORKDIR ${directory}`, false)
  if (directory === '/') {
    work.history.push(line)
    return
  }
  const step: MakeDirectoryStep = {
    kind: 'make-directory',
    title: workdirTitle(ground, work, command),
    where: positionOf(ground, instruction),
    phase: 'instruction',
    target: guestPath(directory),
    owner: work.draft.plain.User || '0:0',
  }
  work.history.push({ ...line, step: work.steps.push(step) - 1 })
}

/** An absolute path stays as it was written, as in BuildKit; an empty one means where the stage is. */
function joinDirectory(current: string, path: string): string {
  if (path === '') return current
  return path.startsWith('/') ? path : guestPath(`${current}/${path}`)
}

function workdirTitle(ground: LowerGround, work: StageWork, command: WorkdirCommand): string {
  const { original } = command.instruction
  const text = describeText(original, work.scope, { escape: ground.escape, asShell: false })
  return nextTitle(ground, work, { text: upperCaseWord(text), isTrigger: command.isTrigger })
}

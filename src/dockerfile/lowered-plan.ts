// Lowered stages as a plan: the wanted one last, with the caller's labels, and the contexts that steps read from.

import { formatPlatform } from '../oci/platform.ts'
import type { BuildPlan, BuildStage, BuildStep, PlanContext, SourceRoot } from '../plan/plan.ts'
import { finishDraft } from './config-draft.ts'
import type { LowerOptions } from './lower-options.ts'
import type { StageFoundation } from './stage-bases.ts'
import type { StageNode } from './stage-graph.ts'
import { normalPlatform } from './stage-platform.ts'
import type { StageWork } from './stage-work.ts'

/** A stage that is lowered, and what it stands on where that is no other stage. */
export interface LoweredStage {
  readonly work: StageWork
  readonly foundation: StageFoundation | undefined
}

/** The plan of the stages, which stand in an order in which each comes after those it uses. */
export function planOf(
  options: LowerOptions,
  lowered: readonly LoweredStage[],
  target: StageNode,
): BuildPlan {
  const bases = new Set(lowered.map(({ work }) => work.node.base))
  const stages = lowered
    .filter(
      ({ work: { node }, foundation }) =>
        // A directory that is only read from is read as a context.
        foundation?.kind !== 'directory' || hasOwnSteps(node) || node === target || bases.has(node),
    )
    .map(stage => (stage.work.node === target ? resultOf(options, stage) : stageOf(stage)))
  const isResult = ({ id }: BuildStage): boolean => id === target.id
  return {
    stages: [...stages.filter(stage => !isResult(stage)), ...stages.filter(isResult)],
    contexts: usedContexts(options, stages),
  }
}

function hasOwnSteps(node: StageNode): boolean {
  return node.stage !== undefined && node.replacement === undefined
}

function stageOf({ work, foundation }: LoweredStage): BuildStage {
  const { node, platform, steps, draft, author, history, title } = work
  return {
    id: node.id,
    ...(title === undefined ? {} : { title }),
    platform,
    base: baseOf(node, foundation),
    steps,
    config: finishDraft(draft),
    ...(author === undefined ? {} : { author }),
    history: { kind: 'instructions', lines: history },
  }
}

function baseOf(node: StageNode, foundation: StageFoundation | undefined): BuildStage['base'] {
  if (node.base !== undefined) return { kind: 'stage', stage: node.base.id }
  if (foundation?.kind !== 'image') return { kind: 'scratch' }
  const { reference, manifest } = foundation.image
  return { kind: 'image', reference, manifest, where: node.where }
}

/** The result has the caller's labels, and is for the platform that the caller chose. */
function resultOf(options: LowerOptions, lowered: LoweredStage): BuildStage {
  for (const [name, value] of options.labels) lowered.work.draft.labels.set(name, value)
  const stage = stageOf(lowered)
  const chosen = normalPlatform(options.platform)
  const isOther =
    options.platformIsExplicit === true && formatPlatform(chosen) !== formatPlatform(stage.platform)
  return {
    ...stage,
    ...(isOther ? { imagePlatform: chosen } : {}),
  }
}

function usedContexts(
  { contexts }: LowerOptions,
  stages: readonly BuildStage[],
): Record<string, PlanContext> {
  const names = new Set(
    stages
      .flatMap(({ steps }) => steps.flatMap(rootsOf))
      .map(root => (root.kind === 'context' ? root.context : undefined)),
  )
  return Object.fromEntries(Object.entries(contexts).filter(([name]) => names.has(name)))
}

function rootsOf(step: BuildStep): readonly SourceRoot[] {
  if (step.kind === 'add') return [step.from]
  if (step.kind !== 'run') return []
  return (step.buildMounts ?? []).flatMap(mount =>
    'from' in mount && mount.from !== undefined ? [mount.from] : [],
  )
}

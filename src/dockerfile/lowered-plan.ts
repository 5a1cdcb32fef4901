// Lowered stages as a plan: the wanted one last, with the caller's labels, and the contexts that steps read from.

import { formatPlatform } from '../oci/platform.ts'
import type { BuildPlan, BuildStage, BuildStep, PlanContext, SourceRoot } from '../plan/plan.ts'
import { createDraft, finishDraft } from './config-draft.ts'
import type { LowerOptions } from './lower-options.ts'
import type { StageFoundation } from './stage-bases.ts'
import type { StageNode } from './stage-graph.ts'
import { normalPlatform } from './stage-platform.ts'
import type { StageWork } from './stage-work.ts'

/** A stage that is lowered, and the node that it was. */
export interface LoweredStage {
  readonly node: StageNode
  readonly stage: BuildStage
  /** It is nothing but a directory, which is read as a context where nothing stands on it. */
  readonly isDirectory: boolean
}

/** The plan of the stages, which stand in an order in which each comes after those it uses. */
export function planOf(
  options: LowerOptions,
  lowered: readonly LoweredStage[],
  target: StageNode,
): BuildPlan {
  const bases = new Set(lowered.map(({ node }) => node.base))
  const others = lowered
    .filter(({ node, isDirectory }) => node !== target && (!isDirectory || bases.has(node)))
    .map(({ stage }) => stage)
  const results = lowered
    .filter(({ node }) => node === target)
    .map(({ stage }) => resultOf(options, stage))
  const stages = [...others, ...results]
  return { stages, contexts: usedContexts(options, stages) }
}

/** What became of a stage, whose instructions are all lowered. */
export function stageOf(
  { node, platform, steps, draft, author, history, title }: StageWork,
  foundation: StageFoundation | undefined,
): BuildStage {
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
function resultOf(options: LowerOptions, stage: BuildStage): BuildStage {
  const draft = createDraft(stage.config)
  for (const [name, value] of options.labels) draft.labels.set(name, value)
  const chosen = normalPlatform(options.platform)
  const isOther =
    options.platformIsExplicit === true && formatPlatform(chosen) !== formatPlatform(stage.platform)
  return {
    ...stage,
    ...(isOther ? { imagePlatform: chosen } : {}),
    config: finishDraft(draft),
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

// Where instructions read from: a finished stage, or the context that takes its place.

import type { SourceRoot } from '../plan/plan.ts'
import { namedContextOf } from './named-contexts.ts'
import type { StageNode } from './stage-graph.ts'
import type { LowerGround } from './stage-work.ts'

/** The root that a node stands for; undefined for a stage that is not lowered yet. */
export function sourceRoot(ground: LowerGround, node: StageNode): SourceRoot | undefined {
  const context = directoryOf(ground, node)
  if (context !== undefined) return { kind: 'context', context }
  return ground.finished.has(node) ? { kind: 'stage', stage: node.id } : undefined
}

/** The context's name where a node is nothing but a directory. */
export function directoryOf(ground: LowerGround, node: StageNode): string | undefined {
  const named =
    node.replacement ??
    (node.stage === undefined
      ? namedContextOf(ground.options, node.baseName, ground.options.platform)
      : undefined)
  return named?.kind === 'directory' ? named.context : undefined
}

// Executes plans: learns the keys of all steps in order and carries out what no snapshot has.

import { KauriError } from '../core/errors.ts'
import type { BuildPlan, BuildStage } from '../plan/plan.ts'
import type { ExecutePlan } from './build.ts'
import { type ExecutorParts, openStageRun } from './stage-run.ts'

/** An executor; it keeps nothing in memory between plans. */
export function planExecutor(parts: ExecutorParts): ExecutePlan {
  return async (plan, options) => {
    const stage = resultStage(plan)
    const run = openStageRun({ plan, stage, options, parts })
    for (const step of stage.steps) await run.prepare(step)
    return await run.finish()
  }
}

/** The stage that is the plan's result. @throws UNSUPPORTED where it does not start from nothing */
export function resultStage(plan: BuildPlan): BuildStage {
  const stage = plan.stages.at(-1)
  if (stage === undefined) throw new KauriError('INTERNAL', 'the plan has no stage')
  if (stage.base.kind !== 'scratch')
    throw new KauriError('UNSUPPORTED', 'an image that stands on another one cannot be built', {
      hint: 'start from the packages of a repository',
      ...(stage.base.kind === 'image' ? { where: stage.base.where } : {}),
    })
  return stage
}

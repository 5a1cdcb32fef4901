// Looks at a plan without carrying it out: the key of each step as far as it can be known, and whether its result is there.

import type { Digest } from '../oci/digest.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { Rootfs, Snapshot } from '../rootfs/rootfs.ts'
import type { BuildOptions } from './build.ts'
import { resultStage } from './execute-plan.ts'
import type { ExecutorParts } from './stage-run.ts'
import { emptyRootKey, stepKey } from './step-key.ts'
import { explainMiss, type MissReason, stepSnapshots } from './step-snapshots.ts'
import { prepareStep } from './steps/prepare-step.ts'

/** A step as it would be carried out now. */
export interface StepForecast {
  readonly title: string
  readonly kind: string
  readonly phase: string
  /** Undefined where an installation before it, or itself, needs a root that is not there yet. */
  readonly key: Digest | undefined
  /** Undefined: the result is there; a step without a key has none. */
  readonly miss: MissReason | 'unknown-until-built' | undefined
}

/** Asks the repositories as a build does, and changes nothing else. @throws what preparing steps throws */
export async function inspectPlan(
  plan: BuildPlan,
  options: BuildOptions,
  parts: ExecutorParts,
): Promise<StepForecast[]> {
  const { snapshotter, dataRoot } = parts
  const stage = resultStage(plan)
  const results = stepSnapshots(snapshotter, dataRoot)
  const kept = await snapshotter.list()
  const forecasts: StepForecast[] = []
  let previous = emptyRootKey(stage.platform)
  let isKnown = true
  for (const [index, step] of stage.steps.entries()) {
    const { title, kind, phase } = step
    const needsRoot = step.kind === 'install' && !step.bootstrap
    const below: Snapshot | undefined =
      needsRoot && isKnown ? await results.find(previous) : undefined
    isKnown &&= !needsRoot || below !== undefined
    if (!isKnown) {
      forecasts.push({ title, kind, phase, key: undefined, miss: 'unknown-until-built' })
      continue
    }
    const openPrevious = async (): Promise<Rootfs | undefined> =>
      below === undefined ? undefined : await snapshotter.prepare(below.id)
    const context = { plan, stage, options, tools: parts, stepId: `plan-${index}`, openPrevious }
    const key = stepKey(previous, step, (await prepareStep(step, context)).reads)
    const isThere = (await results.find(key.key)) !== undefined
    const miss = isThere ? undefined : explainMiss(title, key, kept)
    forecasts.push({ title, kind, phase, key: key.key, miss })
    previous = key.key
  }
  return forecasts
}

// Looks at a plan without carrying it out: the key of each step as far as it can be known, and whether its result is there.

import type { Digest } from '../oci/digest.ts'
import type { BuildPlan } from '../plan/plan.ts'
import type { Snapshot } from '../rootfs/rootfs.ts'
import type { BuildOptions } from './build.ts'
import { openPlanRun } from './plan-run.ts'
import { type ExecutorParts, type KeyedStep, NotBuiltError, type StageRun } from './stage-run.ts'
import {
  explainMiss,
  type MissReason,
  type StepSnapshots,
  stepSnapshots,
} from './step-snapshots.ts'

/** A step as it would be carried out now. */
export interface StepForecast {
  /** Id of the step's stage. */
  readonly stage: string
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
  const results = stepSnapshots(snapshotter, dataRoot)
  const kept = await snapshotter.list()
  await using run = openPlanRun({ options, parts, onlyLooks: true }, plan)
  const forecasts: StepForecast[] = []
  for (const stage of run.stages) {
    await learnWhatIsKnown(stage)
    for (const keyed of stage.steps)
      forecasts.push(await forecastOf(stage, keyed, { results, kept }))
    for (const { title, kind, phase } of stage.stage.steps.slice(stage.steps.length))
      forecasts.push({
        stage: stage.stage.id,
        title,
        kind,
        phase,
        key: undefined,
        miss: 'unknown-until-built',
      })
  }
  return forecasts
}

async function learnWhatIsKnown(stage: StageRun): Promise<void> {
  try {
    await stage.learnKeys()
  } catch (error) {
    if (!(error instanceof NotBuiltError)) throw error
  }
}

async function forecastOf(
  { stage }: StageRun,
  { step, key }: KeyedStep,
  { results, kept }: { readonly results: StepSnapshots; readonly kept: readonly Snapshot[] },
): Promise<StepForecast> {
  const { title, kind, phase } = step
  const isThere = (await results.find(key.key)) !== undefined
  const miss = isThere ? undefined : explainMiss(title, key, kept)
  return { stage: stage.id, title, kind, phase, key: key.key, miss }
}

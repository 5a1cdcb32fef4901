// Executes plans: learns the keys of all steps and carries out what no snapshot has.

import { KauriError } from '../core/errors.ts'
import { hexOf } from '../oci/digest.ts'
import type { BuildPlan, BuildStage } from '../plan/plan.ts'
import { type Snapshot, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import type { ExecutePlan } from './build.ts'
import { openPlanRun } from './plan-run.ts'
import { withCurrentKeys } from './stage-contents.ts'
import type { ExecutorParts } from './stage-run.ts'
import { emptyRootKey } from './step-key.ts'
import { newestFileSecondsOf } from './step-snapshots.ts'

/** An executor; it keeps nothing in memory between plans. */
export function planExecutor(parts: ExecutorParts): ExecutePlan {
  return (plan, options) =>
    withCurrentKeys(async () => {
      await using run = openPlanRun({ options, parts }, plan)
      await run.learnKeys()
      const { result } = run
      const top =
        (await run.reach(result)) ?? (await keepEmptyRoot(parts.snapshotter, result.stage))
      const steps = result.made.map(({ record }) => record)
      return { snapshot: top.id, steps, newestFileSeconds: newestFileSecondsOf(top) }
    })
}

/** The stage that is the plan's result. */
export function resultStage(plan: BuildPlan): BuildStage {
  const stage = plan.stages.at(-1)
  if (stage === undefined) throw new KauriError('INTERNAL', 'the plan has no stage')
  return stage
}

async function keepEmptyRoot(snapshotter: Snapshotter, stage: BuildStage): Promise<Snapshot> {
  const id = snapshotId(hexOf(emptyRootKey(stage.platform)))
  await using root = await snapshotter.prepare(undefined)
  return (await snapshotter.findSnapshot(id)) ?? (await snapshotter.commit(root, id))
}

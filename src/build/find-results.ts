// Looks for the results of steps in the snapshots, from the last step backwards: a snapshot knows the one it stands on,
// which is the step before's, so what was made in a row is found in a row, even where a later run made parts of it anew.

import type { Snapshot, SnapshotId } from '../rootfs/rootfs.ts'
import type { LazyTree } from './lazy-tree.ts'
import type { ExecutorParts, KeyedStep } from './stage-run.ts'
import type { StepSnapshots } from './step-snapshots.ts'

/**
 * The result of each step, where it is there. Steps up to the first one without a result, or all behind it, may be missing;
 * results that stand on another tree than `below` do not count.
 */
export async function findResults(
  steps: readonly KeyedStep[],
  below: LazyTree,
  { parts, results }: { readonly parts: ExecutorParts; readonly results: StepSnapshots },
): Promise<readonly (Snapshot | undefined)[]> {
  const found: (Snapshot | undefined)[] = steps.map(() => undefined)
  /** The tree that the step above stands on, once there is such a step. */
  let standing: { readonly tree: Snapshot | undefined } | undefined
  const under = async ({ parent }: Snapshot): Promise<Snapshot | undefined> =>
    parent === undefined ? undefined : await parts.snapshotter.findSnapshot(parent)
  for (const [index, { key, isLinked }] of [...steps.entries()].toReversed()) {
    const own = isLinked || standing === undefined ? await results.find(key.key) : standing.tree
    found[index] = own
    if (isLinked) {
      if (standing?.tree !== undefined)
        standing = { tree: standing.tree.id === own?.id ? undefined : await under(standing.tree) }
    } else if (own !== undefined) standing = { tree: await under(own) }
    else if (standing !== undefined) return []
  }
  if (standing !== undefined && !(await isTree(below, standing.tree?.id)))
    return onlyLinked(steps, found)
  return found
}

async function isTree(below: LazyTree, id: SnapshotId | undefined): Promise<boolean> {
  return (await below.name()) === id
}

/** Linked results stand on nothing, so nothing is wrong with them. */
function onlyLinked(
  steps: readonly KeyedStep[],
  found: readonly (Snapshot | undefined)[],
): readonly (Snapshot | undefined)[] {
  return steps.map(({ isLinked }, index) => (isLinked ? found[index] : undefined))
}

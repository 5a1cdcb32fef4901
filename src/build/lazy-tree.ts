// Trees that steps stand on, made only when one of them really runs: nothing, an image's layers, the end of another stage,
// the result of a step, or such a tree with the result of a linked step laid over it.

import { applyTar } from '../layer/apply-tar.ts'
import { packTree } from '../layer/pack-tree.ts'
import { digestOf, hexOf } from '../oci/digest.ts'
import { type Snapshot, type SnapshotId, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'

/** A tree that may have to be made. */
export interface LazyTree {
  /** The name that its snapshot has or would get; undefined for the empty tree. Makes nothing. */
  name(): Promise<SnapshotId | undefined>
  /** The snapshot; undefined for the empty tree. @throws what making it throws */
  make(): Promise<Snapshot | undefined>
}

/** The tree without anything. */
export const emptyTree: LazyTree = {
  name: async () => undefined,
  make: async () => undefined,
}

/** The tree of a snapshot that is there. */
export function presentTree(snapshot: Snapshot): LazyTree {
  return { name: async () => snapshot.id, make: async () => snapshot }
}

/** The name of a tree with a linked result over it. */
function mergedName(below: SnapshotId | undefined, linked: SnapshotId): SnapshotId {
  if (below === undefined) return linked
  return snapshotId(hexOf(digestOf(`merge ${below} ${linked}`)))
}

/** A tree with the result of a linked step over it, as if its layer were unpacked there. */
export function mergedTree(
  below: LazyTree,
  linked: Snapshot,
  {
    snapshotter,
    signal,
  }: { readonly snapshotter: Snapshotter; readonly signal?: AbortSignal | undefined },
): LazyTree {
  const name = async (): Promise<SnapshotId> => mergedName(await below.name(), linked.id)
  return {
    name,
    async make() {
      const base = await below.make()
      if (base === undefined) return linked
      const id = mergedName(base.id, linked.id)
      const merge = async (): Promise<Snapshot> => {
        const there = await snapshotter.findSnapshot(id)
        if (there !== undefined) return there
        await using root = await snapshotter.prepare(base.id, { signal })
        {
          using upper = snapshotter.open(linked.id)
          using tree = root.open()
          const tar = packTree({ kind: 'tree', path: upper.path }, { withoutRoot: true, signal })
          await applyTar(tar, tree.fd, { whiteouts: 'ordinary', ownership: 'archive', signal })
        }
        return await snapshotter.commit(root, id, base.labels)
      }
      return (
        (await snapshotter.findSnapshot(id)) ?? (await snapshotter.whileMaking(id, merge, signal))
      )
    },
  }
}

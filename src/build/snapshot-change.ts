// What a snapshot has beyond one that it stands on, for packing; the same from every snapshotter.

import type { PackSource } from '../layer/layer.ts'
import type { OpenTree, SnapshotId, Snapshotter } from '../rootfs/rootfs.ts'

/** What to pack, and the trees that are held open for it. */
export interface SnapshotChange extends Disposable {
  readonly source: PackSource
}

/** Opens the change between two snapshots; without `below` the whole tree. */
export async function openSnapshotChange(
  top: SnapshotId,
  below: SnapshotId | undefined,
  snapshotter: Snapshotter,
): Promise<SnapshotChange> {
  const uppers = below === undefined ? undefined : await uppersBetween(top, below, snapshotter)
  const topTree = uppers === undefined ? snapshotter.open(top) : undefined
  let belowTree: OpenTree | undefined
  try {
    belowTree = below === undefined ? undefined : snapshotter.open(below)
  } catch (error) {
    topTree?.[Symbol.dispose]()
    throw error
  }
  const paths = uppers ?? [topTree?.path ?? '']
  const change = snapshotter.changes(top)
  const isClone = change.kind === 'tree-diff' && change.isClone === true
  return {
    source:
      belowTree === undefined
        ? { kind: 'tree', path: topTree?.path ?? '' }
        : {
            kind: 'changes',
            paths,
            isOverlay: uppers !== undefined,
            isClone,
            below: belowTree.path,
          },
    [Symbol.dispose]() {
      belowTree?.[Symbol.dispose]()
      topTree?.[Symbol.dispose]()
    },
  }
}

/** The upper directories of every snapshot from `below` up to the top, topmost first; undefined where trees are whole. */
async function uppersBetween(
  top: SnapshotId,
  below: SnapshotId,
  snapshotter: Snapshotter,
): Promise<string[] | undefined> {
  const uppers: string[] = []
  for (let id: SnapshotId | undefined = top; id !== undefined && id !== below; ) {
    const change = snapshotter.changes(id)
    if (change.kind !== 'overlay-upper') return undefined
    uppers.push(change.path)
    id = (await snapshotter.findSnapshot(id))?.parent
  }
  return uppers
}

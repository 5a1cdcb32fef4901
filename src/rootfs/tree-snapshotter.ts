// What all snapshotters have in common: records, names, locks and the life of a tree. A driver says how a tree starts,
// how it is mounted and where its changes are.

import { asDiskFull } from '../core/atomic-file.ts'
import { KauriError } from '../core/errors.ts'
import { whileLocked } from '../native/file-lock.ts'
import type { RootMount } from '../runtime/runtime.ts'
import {
  type ActiveTree,
  holdSnapshot,
  makingLock,
  removeSnapshot,
  settleSnapshots,
  takeSnapshot,
} from './active-trees.ts'
import { openRootMount } from './open-tree.ts'
import type {
  ChangeSource,
  OpenTree,
  PrepareOptions,
  ReopenedTree,
  Rootfs,
  SnapshotId,
  Snapshotter,
} from './rootfs.ts'
import { findRecord, getChain, listRecords } from './snapshot-records.ts'

/** How one kind of file system shares what did not change. */
export interface TreeDriver {
  readonly name: string
  readonly reason: string
  readonly mostStacked?: number
  /** Holds `<id>/` of every snapshot. */
  readonly directory: string
  begin(parent: SnapshotId | undefined, options: PrepareOptions): Promise<ActiveTree>
  mountOf(tree: ActiveTree): RootMount
  snapshotMount(id: SnapshotId): RootMount
  /** The snapshot as it was while it was a tree. */
  reopenedMount(id: SnapshotId): RootMount
  changes(id: SnapshotId): ChangeSource
}

/** A snapshotter from a driver. */
export function treeSnapshotter(driver: TreeDriver): Snapshotter {
  const { directory } = driver
  const underWay = new WeakMap<Rootfs, { readonly tree: ActiveTree; openTrees: number }>()

  const rootfsOf = (tree: ActiveTree): Rootfs => {
    const state = { tree, openTrees: 0 }
    const mount = driver.mountOf(tree)
    const rootfs: Rootfs = {
      parent: tree.below[0]?.id,
      mount,
      open() {
        state.openTrees++
        return onClose(openRootMount(mount, 'read-write'), () => {
          state.openTrees--
        })
      },
      async [Symbol.asyncDispose]() {
        tree.drop()
      },
    }
    underWay.set(rootfs, state)
    return rootfs
  }

  const openSnapshot = (id: SnapshotId): OpenTree =>
    openRootMount(driver.snapshotMount(id), 'read-only')

  return {
    name: driver.name,
    reason: driver.reason,
    mostStacked: driver.mostStacked,
    chain: id => getChain(directory, id),
    findSnapshot: async id => findRecord(directory, id),
    prepare: async (parent, options = {}) => rootfsOf(await driver.begin(parent, options)),
    async commit(rootfs, id, labels = {}) {
      const state = underWay.get(rootfs)
      if (state === undefined)
        throw new KauriError('INTERNAL', `the tree for ${id} is of another snapshotter`)
      if (state.openTrees > 0) throw new KauriError('INTERNAL', `the tree for ${id} is still open`)
      try {
        return state.tree.commit(id, labels)
      } catch (error) {
        throw asDiskFull(error, directory)
      }
    },
    whileMaking: (id, work, signal) => whileLocked(makingLock(directory, id), work, signal),
    open(id) {
      const lock = holdSnapshot(directory, id)
      try {
        return onClose(openSnapshot(id), () => lock[Symbol.dispose]())
      } catch (error) {
        lock[Symbol.dispose]()
        throw error
      }
    },
    reopen: (id, lockFd) => reopenTree(driver, id, lockFd),
    hold: id => holdSnapshot(directory, id),
    changes: id => driver.changes(id),
    settle: signal => settleSnapshots(directory, signal),
    remove: id => removeSnapshot(directory, id),
    list: async () => listRecords(directory),
  }
}

function reopenTree(driver: TreeDriver, id: SnapshotId, lockFd: number | undefined): ReopenedTree {
  const lock = takeSnapshot(driver.directory, id, lockFd)
  try {
    const mount = driver.reopenedMount(id)
    return {
      mount,
      open: () => openRootMount(mount, 'read-write'),
      lockFds: [lock.fd],
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    }
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

/** The same tree, with something to do once when it is closed. */
function onClose(tree: OpenTree, then: () => void): OpenTree {
  let open = true
  return {
    ...tree,
    [Symbol.dispose]() {
      if (!open) return
      open = false
      tree[Symbol.dispose]()
      then()
    },
  }
}

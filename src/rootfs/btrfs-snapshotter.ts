// Snapshots as subvolumes of btrfs: each a snapshot of its parent that shares every block until it is written to. No mount
// and no program is needed. Hard links of a snapshot would stay together where an overlay parts them: see hard-links.ts.

import { chmodSync, closeSync, constants, openSync, rmdirSync, statfsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { type ActiveTree, beginTree } from './active-trees.ts'
import { findLinks, linksToRestore, partLinks } from './hard-links.ts'
import type { SnapshotId, Snapshotter } from './rootfs.ts'
import { committedMs, getChain, treeOf } from './snapshot-records.ts'
import { treeSnapshotter } from './tree-snapshotter.ts'

/** linux/magic.h BTRFS_SUPER_MAGIC */
const btrfsMagic = 0x9123683e

/** True where subvolumes can be made below a directory, as far as the file system's kind tells. */
export function isBtrfs(directory: string): boolean {
  return statfsSync(directory).type === btrfsMagic
}

/** Longer than the kernel's clock stands still. */
const clockTickMs = 12

/** The btrfs driver over a directory made ready by openTreeDirectory. */
export function btrfsSnapshotter(directory: string, reason: string): Snapshotter {
  const wholeTree = (id: SnapshotId): { readonly kind: 'directory'; readonly path: string } => {
    getChain(directory, id)
    return { kind: 'directory', path: treeOf(directory, id) }
  }
  return treeSnapshotter({
    name: 'btrfs',
    reason,
    directory,
    async begin(parent, { keepAs }) {
      const tree = await beginTree(directory, parent, keepAs)
      try {
        if (parent === undefined) {
          makeSubvolume(tree)
          return tree
        }
        await afterCommit(directory, parent)
        const from = treeOf(directory, parent)
        makeSubvolume(tree, from)
        // A tree that outlives its process may be frozen by another one, which could not join its hard links again.
        return keepAs === undefined ? await withPartedLinks(from, tree) : tree
      } catch (error) {
        tree.drop()
        throw error
      }
    },
    mountOf: ({ fs }) => ({ kind: 'directory', path: fs }),
    snapshotMount: wholeTree,
    reopenedMount: wholeTree,
    changes(id) {
      const [{ parent } = { parent: undefined }] = getChain(directory, id)
      const tree = treeOf(directory, id)
      if (parent === undefined) return { kind: 'tree', path: tree }
      return { kind: 'tree-diff', path: tree, parent: treeOf(directory, parent), isClone: true }
    },
  })
}

/** What is written to the snapshot must have later change times than all of its parent: they tell what was touched. */
async function afterCommit(directory: string, parent: SnapshotId): Promise<void> {
  const ageMs = Date.now() - committedMs(directory, parent)
  if (ageMs >= 0 && ageMs < clockTickMs) await sleep(clockTickMs - ageMs)
}

/** Puts a subvolume, empty or a snapshot of another one, in the place of the tree's empty directory. */
function makeSubvolume({ directory: tree, fs }: ActiveTree, from?: string): void {
  const calls = native()
  rmdirSync(fs)
  const treeFd = openSync(tree, oPath | constants.O_DIRECTORY)
  const fromFd =
    from === undefined ? undefined : openSync(from, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    if (fromFd === undefined) {
      calls.createSubvolumeAt(treeFd, path.basename(fs))
      chmodSync(fs, 0o755)
    } else calls.snapshotSubvolumeAt(fromFd, treeFd, path.basename(fs))
  } finally {
    if (fromFd !== undefined) closeSync(fromFd)
    closeSync(treeFd)
  }
}

async function withPartedLinks(from: string, tree: ActiveTree): Promise<ActiveTree> {
  const links = findLinks(from)
  partLinks(tree.fs, links)
  const restoring = await linksToRestore(from, links, path.join(tree.directory, 'stamp'))
  return {
    ...tree,
    commit(id, labels) {
      restoring.restore(tree.fs)
      return tree.commit(id, labels)
    },
  }
}

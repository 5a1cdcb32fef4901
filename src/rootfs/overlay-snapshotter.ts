// Snapshots that share files through overlayfs: each holds what it changed, as an upper directory with its whiteouts.
// Nothing is mounted where others could see it: this process opens detached mounts, the launcher mounts for itself.

import { chmodSync, chownSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { RootMount } from '../runtime/runtime.ts'
import { type ActiveTree, beginTree } from './active-trees.ts'
import { dropEqualCopies } from './equal-copies.ts'
import { openRootMount } from './open-tree.ts'
import type { Snapshot, SnapshotId, Snapshotter } from './rootfs.ts'
import { getChain, treeOf } from './snapshot-records.ts'
import { treeSnapshotter } from './tree-snapshotter.ts'

/** The kernel's limit (OVL_MAX_STACK) is 500, and the runtime adds one with the mount points. */
const maxLowerDirectories = 499

/** Leaves room for a hundred build steps on an image of any number of layers. */
const mostStacked = 400

/** The overlay driver over a directory made ready by openTreeDirectory. */
export function overlaySnapshotter(directory: string, reason: string): Snapshotter {
  return treeSnapshotter({
    name: 'overlay',
    reason,
    mostStacked,
    directory,
    async begin(parent, options) {
      const tree = await beginTree(directory, parent, options.keepAs)
      try {
        startUpper(directory, tree)
      } catch (error) {
        tree.drop()
        throw error
      }
      return withoutEqualCopies(directory, tree)
    },
    mountOf: tree => activeMount(directory, tree),
    snapshotMount: id => frozenMount(directory, getChain(directory, id)),
    reopenedMount: id => reopenedMount(directory, id),
    changes(id) {
      const kind = getChain(directory, id).length === 1 ? 'tree' : 'overlay-upper'
      return { kind, path: treeOf(directory, id) }
    },
  })
}

/** The root directory of an upper shows through, so it starts as the one below. */
function startUpper(directory: string, { directory: tree, fs, below }: ActiveTree): void {
  const parent = below[0]
  if (parent === undefined) return
  if (below.length > maxLowerDirectories)
    throw new KauriError(
      'UNSUPPORTED',
      `${below.length} layers on top of each other: an overlay takes ${maxLowerDirectories}`,
      { hint: 'put some together with kauri image squash, or take --snapshotter copy' },
    )
  mkdirSync(path.join(tree, 'work'), { mode: 0o700 })
  copyAttributes(treeOf(directory, parent.id), fs)
}

function withoutEqualCopies(directory: string, tree: ActiveTree): ActiveTree {
  const { fs, below } = tree
  if (below.length === 0) return tree
  return {
    ...tree,
    commit(id, labels) {
      using lower = openRootMount(frozenMount(directory, below), 'read-only')
      dropEqualCopies(fs, lower.fd)
      return tree.commit(id, labels)
    },
  }
}

function copyAttributes(from: string, to: string): void {
  const calls = native()
  const stat = calls.statFile(from)
  chownSync(to, stat.uid, stat.gid)
  chmodSync(to, stat.mode & 0o7777)
  for (const name of calls.listXattrs(from))
    if (!name.startsWith('trusted.overlay.')) calls.setXattr(to, name, calls.getXattr(from, name))
  calls.setTimes(to, stat.mtimeSeconds, stat.mtimeNanoseconds)
}

/** What nobody reads after a crash of the machine need not be synced: only kept trees are. */
function activeMount(
  directory: string,
  { directory: tree, fs, below, kept }: ActiveTree,
): RootMount {
  if (below.length === 0) return { kind: 'directory', path: fs }
  return {
    kind: 'overlay',
    lower: lowerOf(directory, below),
    upper: fs,
    work: path.join(tree, 'work'),
    volatile: !kept,
  }
}

/** A work directory is needed while the upper one is written to; what an earlier mount left in it is the kernel's to clear. */
function reopenedMount(directory: string, id: SnapshotId): RootMount {
  const [top, ...below] = getChain(directory, id)
  const fs = treeOf(directory, id)
  if (top === undefined || below.length === 0) return { kind: 'directory', path: fs }
  const work = path.join(directory, id, 'work')
  mkdirSync(work, { recursive: true, mode: 0o700 })
  return { kind: 'overlay', lower: lowerOf(directory, below), upper: fs, work, volatile: false }
}

function frozenMount(directory: string, chain: readonly Snapshot[]): RootMount {
  const [lowest, ...others] = lowerOf(directory, chain)
  if (lowest !== undefined && others.length === 0) return { kind: 'directory', path: lowest }
  return { kind: 'overlay', lower: lowerOf(directory, chain) }
}

function lowerOf(directory: string, chain: readonly Snapshot[]): readonly string[] {
  return chain.map(({ id }) => treeOf(directory, id))
}

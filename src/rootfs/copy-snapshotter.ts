// Snapshots as whole trees, each a copy of its parent: for file systems under which overlayfs cannot write. Where the
// file system can share blocks (reflink) a copy costs its metadata only. `cp -a` keeps owners, times, hard links, holes,
// extended attributes and devices.

import { runChecked } from '../core/process.ts'
import { guardCommand } from '../native/guard.ts'
import { defaultPath } from '../oci/image-config.ts'
import { beginTree } from './active-trees.ts'
import type { Snapshotter } from './rootfs.ts'
import { getChain, treeOf } from './snapshot-records.ts'
import { treeSnapshotter } from './tree-snapshotter.ts'

/** The copying driver over a directory made ready by openTreeDirectory. */
export function copySnapshotter(directory: string, reason: string): Snapshotter {
  return treeSnapshotter({
    name: 'copy',
    reason,
    directory,
    async begin(parent, options) {
      const tree = await beginTree(directory, parent, options.keepAs)
      try {
        if (parent !== undefined) await copyTree(treeOf(directory, parent), tree.fs, options.signal)
      } catch (error) {
        tree.drop()
        throw error
      }
      return tree
    },
    mountOf: ({ fs }) => ({ kind: 'directory', path: fs }),
    snapshotMount(id) {
      getChain(directory, id)
      return { kind: 'directory', path: treeOf(directory, id) }
    },
    changes(id) {
      const [{ parent } = { parent: undefined }] = getChain(directory, id)
      const path = treeOf(directory, id)
      if (parent === undefined) return { kind: 'tree', path }
      return { kind: 'tree-diff', path, parent: treeOf(directory, parent) }
    },
  })
}

async function copyTree(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  await runChecked([...guardCommand(), 'cp', '-a', '--reflink=auto', `${from}/.`, to], {
    env: { PATH: defaultPath, LC_ALL: 'C' },
    what: `copying the tree ${from}`,
    signal,
  })
}

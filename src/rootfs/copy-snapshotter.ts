// Snapshots as whole trees, each a copy of its parent: for file systems under which overlayfs cannot write. Where the
// file system can share blocks (reflink) a copy costs its metadata only. `cp -a` keeps owners, times, holes, extended
// attributes and devices; for hard links see hard-links.ts.

import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import path from 'node:path'
import { temporaryPrefix } from '../core/atomic-file.ts'
import { runChecked } from '../core/process.ts'
import { randomHex } from '../core/random-hex.ts'
import { guardCommand } from '../native/guard.ts'
import { native } from '../native/native.ts'
import { defaultPath } from '../oci/image-config.ts'
import { type ActiveTree, beginTree } from './active-trees.ts'
import { findLinks, linksToRestore } from './hard-links.ts'
import type { PrepareOptions, Snapshotter } from './rootfs.ts'
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
        return parent === undefined ? tree : await copyOf(treeOf(directory, parent), tree, options)
      } catch (error) {
        tree.drop()
        throw error
      }
    },
    mountOf: ({ fs }) => ({ kind: 'directory', path: fs }),
    snapshotMount(id) {
      getChain(directory, id)
      return { kind: 'directory', path: treeOf(directory, id) }
    },
    reopenedMount: id => {
      getChain(directory, id)
      return { kind: 'directory', path: treeOf(directory, id) }
    },
    changes(id) {
      const [{ parent } = { parent: undefined }] = getChain(directory, id)
      const tree = treeOf(directory, id)
      if (parent === undefined) return { kind: 'tree', path: tree }
      return { kind: 'tree-diff', path: tree, parent: treeOf(directory, parent) }
    },
  })
}

/** A tree that outlives its process may be frozen by another one, which could not join its hard links again. */
async function copyOf(
  from: string,
  tree: ActiveTree,
  { keepAs, signal }: PrepareOptions,
): Promise<ActiveTree> {
  if (keepAs !== undefined) {
    await copyTree(from, tree.fs, { flags: [], signal })
    return tree
  }
  await copyTree(from, tree.fs, { flags: ['--no-preserve=links'], signal })
  const links = await linksToRestore(from, findLinks(from), path.join(tree.directory, 'stamp'))
  return {
    ...tree,
    commit(id, labels) {
      links.restore(tree.fs)
      return tree.commit(id, labels)
    },
  }
}

async function copyTree(
  from: string,
  to: string,
  {
    flags,
    signal,
  }: { readonly flags: readonly string[]; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const copy = ['cp', '-a', ...flags, '--reflink=auto', `${from}/.`, to]
  await runChecked([...guardCommand(), ...copy], {
    env: { PATH: defaultPath, LC_ALL: 'C' },
    what: `copying the tree ${from}`,
    signal,
  })
}

/** True where files in a directory can share their blocks (ioctl FICLONE): btrfs, xfs, bcachefs and others. */
export function sharesBlocks(directory: string): boolean {
  const names = ['source', 'target'].map(name =>
    path.join(directory, `${temporaryPrefix}${randomHex(16)}-${name}`),
  )
  const fds = names.map(name => openSync(name, 'wx+', 0o600))
  for (const name of names) rmSync(name)
  try {
    const [source = -1, target = -1] = fds
    writeSync(source, '.')
    return native().cloneFile(source, target)
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

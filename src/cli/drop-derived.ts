// Drops what the next build or run makes anew: unpacked trees and the records of steps, layers and results.

import { rm } from 'node:fs/promises'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { collectSnapshots } from '../rootfs/collect-snapshots.ts'
import type { CommandContext } from './command.ts'
import { containerTrees } from './kept-trees.ts'
import { openTrees } from './open-trees.ts'

/** Downloads and the contents of cache mounts are no derivations, and compiled filters cost nothing to keep. */
const keptCaches = new Set(['apt', 'git', 'http', 'mounts', 'seccomp'])

/** What containers wrote, trees that somebody has open, and those that are named, stay. */
export async function dropDerived(
  context: CommandContext,
  keptTrees: ReadonlySet<string>,
): Promise<{ readonly trees: number }> {
  const { dataRoot } = context
  const cache = path.join(dataRoot, 'cache')
  // Records first: one that names a tree which is gone is only a miss, but the other way round nobody looks for the tree.
  for (const name of namesIn(cache).filter(each => !keptCaches.has(each)))
    await rm(path.join(cache, name), { recursive: true, force: true })
  const removed = await collectSnapshots(await openTrees(context), {
    keep: containerTrees(dataRoot).union(keptTrees),
    usedBeforeMs: Number.POSITIVE_INFINITY,
  })
  return { trees: removed.length }
}

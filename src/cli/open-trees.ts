// The snapshots of a command: below the state directory.

import path from 'node:path'
import type { Emit } from '../core/events.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'

/** Chooses what the file system offers; loads it only now. */
export async function openTrees(context: {
  readonly dataRoot: string
  readonly emit: Emit
}): Promise<Snapshotter> {
  const { openSnapshotter } = await import('../rootfs/open-snapshotter.ts')
  return await openSnapshotter({
    root: path.join(context.dataRoot, 'snapshots'),
    emit: context.emit,
  })
}

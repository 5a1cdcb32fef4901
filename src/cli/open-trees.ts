// The snapshots of a command: below the state directory.

import path from 'node:path'
import process from 'node:process'
import type { Emit } from '../core/events.ts'
import type { SnapshotterOptions } from '../rootfs/open-snapshotter.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'

/** Chooses what the file system offers, or KAURI_SNAPSHOTTER says; loads it only now. */
export async function openTrees(
  context: {
    readonly dataRoot: string
    readonly emit: Emit
  },
  more: Pick<SnapshotterOptions, 'sweepsFirst'> = {},
): Promise<Snapshotter> {
  const { openSnapshotter, parseSnapshotterChoice } = await import('../rootfs/open-snapshotter.ts')
  return await openSnapshotter({
    root: path.join(context.dataRoot, 'snapshots'),
    choice: parseSnapshotterChoice(process.env['KAURI_SNAPSHOTTER']),
    emit: context.emit,
    ...more,
  })
}

// The snapshots of a command: below the state directory.

import path from 'node:path'
import process from 'node:process'
import type { Emit } from '../core/events.ts'
import type { SnapshotterOptions } from '../rootfs/open-snapshotter.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'
import { parseSnapshotterChoice } from '../rootfs/snapshotter-choice.ts'

/** Chooses what the file system offers, or --snapshotter or KAURI_SNAPSHOTTER says; loads it only now. */
export async function openTrees(
  context: {
    readonly dataRoot: string
    readonly emit: Emit
    readonly snapshotter?: string | undefined
  },
  more: Pick<SnapshotterOptions, 'sweepsFirst'> = {},
): Promise<Snapshotter> {
  const { openSnapshotter } = await import('../rootfs/open-snapshotter.ts')
  const named = context.snapshotter ?? process.env['KAURI_SNAPSHOTTER']
  return await openSnapshotter({
    root: path.join(context.dataRoot, 'snapshots'),
    choice: parseSnapshotterChoice(named),
    emit: context.emit,
    ...more,
  })
}

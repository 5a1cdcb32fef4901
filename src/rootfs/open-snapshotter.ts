// Chooses the snapshotter: overlay where the file system under it can be an upper directory, copies where not. The
// choice is tried out once for each state directory and kernel, and remembered.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { type Emit, ignoreEvents } from '../core/events.ts'
import { openTreeDirectory, sweepTrees } from './active-trees.ts'
import { findOverlayObstacle } from './overlay-probe.ts'
import { overlaySnapshotter } from './overlay-snapshotter.ts'
import type { Snapshotter } from './rootfs.ts'

export type SnapshotterChoice = 'auto' | 'overlay' | 'copy'

/** Reads a person's choice; undefined is `auto`. @throws USAGE */
export function parseSnapshotterChoice(text: string | undefined): SnapshotterChoice {
  if (text === undefined || text === '' || text === 'auto') return 'auto'
  if (text === 'overlay' || text === 'copy') return text
  throw new KauriError('USAGE', `there is no snapshotter "${text}"`, {
    hint: 'KAURI_SNAPSHOTTER is auto, overlay or copy',
  })
}

export interface SnapshotterOptions {
  /** The directory of all snapshots, `<dataRoot>/snapshots`. Each driver has a directory of its own in it. */
  readonly root: string
  readonly choice?: SnapshotterChoice
  readonly emit?: Emit
}

/**
 * Opens the snapshots, and removes in the background what killed processes left among them.
 * @throws UNSUPPORTED where overlay was asked for and does not work
 */
export async function openSnapshotter({
  root,
  choice = 'auto',
  emit = ignoreEvents,
}: SnapshotterOptions): Promise<Snapshotter> {
  // Others may pass through the state directory to what is theirs; trees are nobody else's.
  mkdirSync(path.dirname(root), { recursive: true, mode: 0o711 })
  const { name, reason } = await chooseDriver(root, choice)
  const directory = path.join(root, name)
  await openTreeDirectory(directory)
  void sweepTrees(directory).catch((error: unknown) => {
    emit({ kind: 'warning', message: `left-over trees stay in ${directory}: ${String(error)}` })
  })
  if (name === 'copy') {
    const { copySnapshotter } = await import('./copy-snapshotter.ts')
    return copySnapshotter(directory, reason)
  }
  return overlaySnapshotter(directory, reason)
}

async function chooseDriver(
  root: string,
  choice: SnapshotterChoice,
): Promise<{ readonly name: 'overlay' | 'copy'; readonly reason: string }> {
  if (choice === 'copy') return { name: 'copy', reason: 'copy was asked for' }
  const obstacle = await findOverlayObstacle(root)
  if (obstacle === undefined) return { name: 'overlay', reason: `overlayfs works in ${root}` }
  if (choice === 'auto') return { name: 'copy', reason: `no overlay: ${obstacle}` }
  throw new KauriError('UNSUPPORTED', `the overlay snapshotter does not work: ${obstacle}`, {
    hint: 'set KAURI_SNAPSHOTTER=copy, or put the state on ext4, xfs or btrfs with --data-root DIR',
  })
}

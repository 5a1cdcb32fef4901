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

const choices: Readonly<Record<string, SnapshotterChoice>> = {
  '': 'auto',
  auto: 'auto',
  overlay: 'overlay',
  // docker's names
  overlay2: 'overlay',
  copy: 'copy',
  vfs: 'copy',
}

/** Storage drivers of other engines that kauri has no part of, and why. */
const retired: Readonly<Record<string, string>> = {
  devicemapper:
    'thin pools of block devices lose data when they run full, and docker has removed it',
  aufs: 'no kernel of kernel.org has aufs, and docker has removed it',
}

/** Reads a person's choice; undefined is `auto`. @throws USAGE; UNSUPPORTED for what other engines once had */
export function parseSnapshotterChoice(text: string | undefined): SnapshotterChoice {
  const choice = Object.hasOwn(choices, text ?? '') ? choices[text ?? ''] : undefined
  if (choice !== undefined) return choice
  const hint = 'KAURI_SNAPSHOTTER is auto, overlay, or copy, which other engines call vfs'
  const reason = Object.hasOwn(retired, text ?? '') ? retired[text ?? ''] : undefined
  if (reason !== undefined)
    throw new KauriError('UNSUPPORTED', `no snapshotter ${text}: ${reason}`, { hint })
  throw new KauriError('USAGE', `there is no snapshotter "${text}"`, { hint })
}

export interface SnapshotterOptions {
  /** The directory of all snapshots, `<dataRoot>/snapshots`. Each driver has a directory of its own in it. */
  readonly root: string
  readonly choice?: SnapshotterChoice
  /** Waits until everything that killed processes left is deleted, for commands that are there to free space. */
  readonly sweepsFirst?: boolean
  readonly emit?: Emit
}

/**
 * Opens the snapshots, and removes what killed processes left among them, as far as the command lasts.
 * @throws UNSUPPORTED where overlay was asked for and does not work
 */
export async function openSnapshotter({
  root,
  choice = 'auto',
  sweepsFirst = false,
  emit = ignoreEvents,
}: SnapshotterOptions): Promise<Snapshotter> {
  // Others may pass through the state directory to what is theirs; trees are nobody else's.
  mkdirSync(path.dirname(root), { recursive: true, mode: 0o711 })
  const { name, reason } = await chooseDriver(root, choice)
  const directory = path.join(root, name)
  await openTreeDirectory(directory)
  const swept = sweepTrees(directory).catch((error: unknown) => {
    emit({ kind: 'warning', message: `left-over trees stay in ${directory}: ${String(error)}` })
  })
  if (sweepsFirst) await swept
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

// Chooses the snapshotter: overlay where the file system under it can be an upper directory, else what the file system
// has, copies in the end. The choice is tried out once for each state directory and kernel, and remembered.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { type Emit, ignoreEvents } from '../core/events.ts'
import { openTreeDirectory, sweepTrees } from './active-trees.ts'
import { findOverlayObstacle } from './overlay-probe.ts'
import { overlaySnapshotter } from './overlay-snapshotter.ts'
import type { Snapshotter } from './rootfs.ts'
import type { SnapshotterChoice, SnapshotterName } from './snapshotter-choice.ts'

export interface SnapshotterOptions {
  /** The directory of all snapshots, `<dataRoot>/snapshots`. Each driver has a directory of its own in it. */
  readonly root: string
  readonly choice?: SnapshotterChoice
  /** Waits until everything that killed processes left is deleted, for commands that are there to free space. */
  readonly sweepsFirst?: boolean
  readonly emit?: Emit
}

interface Driver {
  readonly name: SnapshotterName
  readonly reason: string
}

/**
 * Opens the snapshots, and removes what killed processes left among them, as far as the command lasts.
 * @throws UNSUPPORTED where a driver was asked for that does not work here
 */
export async function openSnapshotter({
  root,
  choice = 'auto',
  sweepsFirst = false,
  emit = ignoreEvents,
}: SnapshotterOptions): Promise<Snapshotter> {
  // Others may pass through the state directory to what is theirs; trees are nobody else's.
  mkdirSync(path.dirname(root), { recursive: true, mode: 0o711 })
  const driver = await chooseDriver(root, choice)
  const directory = path.join(root, driver.name)
  await openTreeDirectory(directory)
  const swept = sweepTrees(directory).catch((error: unknown) => {
    emit({ kind: 'warning', message: `left-over trees stay in ${directory}: ${String(error)}` })
  })
  if (sweepsFirst) await swept
  return await openDriver(driver, directory)
}

/** What most machines do not need is loaded only where it is chosen. */
async function openDriver({ name, reason }: Driver, directory: string): Promise<Snapshotter> {
  switch (name) {
    case 'overlay':
      return overlaySnapshotter(directory, reason)
    case 'btrfs': {
      const { btrfsSnapshotter } = await import('./btrfs-snapshotter.ts')
      return btrfsSnapshotter(directory, reason)
    }
    case 'copy': {
      const { copySnapshotter } = await import('./copy-snapshotter.ts')
      return copySnapshotter(directory, reason)
    }
    default:
      return name satisfies never
  }
}

async function chooseDriver(root: string, choice: SnapshotterChoice): Promise<Driver> {
  switch (choice) {
    case 'auto':
      return await chooseFor(root)
    case 'overlay': {
      const obstacle = await findOverlayObstacle(root)
      if (obstacle === undefined) return { name: 'overlay', reason: 'asked for' }
      throw new KauriError('UNSUPPORTED', `the overlay snapshotter does not work: ${obstacle}`, {
        hint: 'take --snapshotter copy, or put the state on ext4, xfs or btrfs with --data-root DIR',
      })
    }
    case 'btrfs':
      if (await isOnBtrfs(root)) return { name: 'btrfs', reason: 'asked for' }
      throw new KauriError('UNSUPPORTED', `${root} is not on a btrfs file system`, {
        hint: 'take --snapshotter overlay or copy, or put the state on btrfs with --data-root DIR',
      })
    case 'copy':
      return { name: 'copy', reason: `asked for; ${await costOfCopies(root)}` }
    default:
      return choice satisfies never
  }
}

async function chooseFor(root: string): Promise<Driver> {
  const obstacle = await findOverlayObstacle(root)
  if (obstacle === undefined) return { name: 'overlay', reason: `overlayfs works in ${root}` }
  if (await isOnBtrfs(root))
    return { name: 'btrfs', reason: `no overlay: ${obstacle}; ${root} is on btrfs` }
  return { name: 'copy', reason: `no overlay: ${obstacle}; ${await costOfCopies(root)}` }
}

async function isOnBtrfs(root: string): Promise<boolean> {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const { isBtrfs } = await import('./btrfs-snapshotter.ts')
  return isBtrfs(root)
}

async function costOfCopies(root: string): Promise<string> {
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const { sharesBlocks } = await import('./copy-snapshotter.ts')
  return sharesBlocks(root) ? 'copies share blocks (reflink)' : 'each copy takes its whole size'
}

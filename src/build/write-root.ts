// Writes a snapshot out as a plain directory, for those who want to look at a root or go on with other tools.

import { closeSync, constants, mkdirSync, openSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull, sweepTemporaries, temporaryBeside } from '../core/atomic-file.ts'
import { applyTar } from '../layer/apply-tar.ts'
import { packTree } from '../layer/pack-tree.ts'
import { oPath } from '../native/in-root.ts'
import type { SnapshotId, Snapshotter } from '../rootfs/rootfs.ts'
import { isLeftOut } from './left-out.ts'

export interface RootDirectory {
  /** Replaced where it is there already. */
  readonly directory: string
  readonly signal?: AbortSignal | undefined
}

/** Writes beside the place and renames. @throws DISK_FULL, CANCELLED */
export async function writeRoot(
  snapshotter: Snapshotter,
  snapshot: SnapshotId,
  { directory, signal }: RootDirectory,
): Promise<void> {
  mkdirSync(path.dirname(directory), { recursive: true })
  sweepTemporaries(directory)
  const temporary = temporaryBeside(directory)
  mkdirSync(temporary)
  try {
    await unpack(snapshotter, snapshot, { directory: temporary, signal })
    await rm(directory, { recursive: true, force: true })
    renameSync(temporary, directory)
  } catch (error) {
    throw asDiskFull(error, directory)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function unpack(
  snapshotter: Snapshotter,
  snapshot: SnapshotId,
  { directory, signal }: RootDirectory,
): Promise<void> {
  const rootFd = openSync(directory, oPath | constants.O_DIRECTORY)
  try {
    using tree = snapshotter.open(snapshot)
    const tar = packTree({ kind: 'tree', path: tree.path }, { exclude: isLeftOut, signal })
    await applyTar(tar, rootFd, { whiteouts: 'ordinary', ownership: 'archive', signal })
  } finally {
    closeSync(rootFd)
  }
}

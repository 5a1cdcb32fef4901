// What a container takes on the disk: bytes of the files that it changed, and of all that it sees.

import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'

export interface ContainerSize {
  readonly ownBytes: number
  readonly allBytes: number
}

/** Counts now, also while it runs; a container whose tree is not there has nothing. */
export async function containerSize(id: string, snapshotter: Snapshotter): Promise<ContainerSize> {
  try {
    const changes = snapshotter.changes(snapshotId(id))
    const own = bytesBelow(changes.path)
    // A whole tree counts as it is; an overlay's upper directory stands on the others.
    const below = changes.kind === 'overlay-upper' ? await belowBytes(id, snapshotter) : 0
    return { ownBytes: own, allBytes: own + below }
  } catch (error) {
    if (error instanceof KauriError && error.code === 'SNAPSHOT_INVALID')
      return { ownBytes: 0, allBytes: 0 }
    throw error
  }
}

async function belowBytes(id: string, snapshotter: Snapshotter): Promise<number> {
  const parents = new Map((await snapshotter.list()).map(one => [one.id, one.parent]))
  let bytes = 0
  for (let next = parents.get(snapshotId(id)); next !== undefined; next = parents.get(next))
    bytes += bytesBelow(snapshotter.changes(next).path)
  return bytes
}

function bytesBelow(directory: string): number {
  const seen = new Set<string>()
  let bytes = 0
  const visit = (at: string): void => {
    for (const entry of namesThere(at)) {
      const stats = lstatSync(path.join(at, entry), { throwIfNoEntry: false })
      if (stats === undefined) continue
      if (stats.isDirectory()) visit(path.join(at, entry))
      else if (stats.isFile() && isFirst(seen, stats.nlink, `${stats.dev}:${stats.ino}`))
        bytes += stats.size
    }
  }
  visit(directory)
  return bytes
}

/** A file with several names counts once. */
function isFirst(seen: Set<string>, names: number, identity: string): boolean {
  if (names < 2) return true
  if (seen.has(identity)) return false
  seen.add(identity)
  return true
}

/** Directories of a running container may go at any moment. */
function namesThere(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

// Removes the snapshots that nobody needs: no image stands on them, and no build or container used them for a while.

import { KauriError } from '../core/errors.ts'
import type { Snapshot, SnapshotId, Snapshotter } from './rootfs.ts'

export interface CollectSnapshotsOptions {
  /** Names that stay, and with them all below. */
  readonly keep: ReadonlySet<string>
  /** Snapshots used since stay; milliseconds since 1970. */
  readonly usedBeforeMs: number
  /** Look only at these. */
  readonly within?: ReadonlySet<string>
  /** Tell only. */
  readonly dryRun?: boolean
}

/** Removes them, topmost first, and tells which; what is in use is left alone. */
export async function collectSnapshots(
  snapshotter: Snapshotter,
  { keep, usedBeforeMs, within, dryRun = false }: CollectSnapshotsOptions,
): Promise<SnapshotId[]> {
  const all = await snapshotter.list()
  const staying = new Set<string>()
  const byId = new Map(all.map(snapshot => [snapshot.id, snapshot]))
  for (const snapshot of all) {
    const isCandidate = within === undefined || within.has(snapshot.id)
    if (isCandidate && !keep.has(snapshot.id) && snapshot.usedMs < usedBeforeMs) continue
    for (const id of lineOf(snapshot, byId)) staying.add(id)
  }
  const removed: SnapshotId[] = []
  for (const id of topmostFirst(all.filter(snapshot => !staying.has(snapshot.id))))
    if (dryRun || (await removeUnused(snapshotter, id))) removed.push(id)
  return removed
}

/** A snapshot that nothing of `keep` stands on. */
export interface LooseSnapshot {
  readonly id: SnapshotId
  /** When it, or one that stands on it, was used last; milliseconds since 1970. */
  readonly usedMs: number
}

/** The snapshots that may go, the least recently used first, each behind those that stand on it. */
export async function listLooseSnapshots(
  snapshotter: Snapshotter,
  keep: ReadonlySet<string>,
): Promise<LooseSnapshot[]> {
  const all = await snapshotter.list()
  const byId = new Map(all.map(snapshot => [snapshot.id, snapshot]))
  const kept = new Set(
    all.filter(({ id }) => keep.has(id)).flatMap(snapshot => lineOf(snapshot, byId)),
  )
  const usedMs = new Map<SnapshotId, number>()
  for (const snapshot of all)
    for (const id of lineOf(snapshot, byId))
      usedMs.set(id, Math.max(usedMs.get(id) ?? 0, snapshot.usedMs))
  return topmostFirst(all.filter(({ id }) => !kept.has(id)))
    .map(id => ({ id, usedMs: usedMs.get(id) ?? 0 }))
    .toSorted((a, b) => a.usedMs - b.usedMs)
}

/** A snapshot and all it stands on. */
function lineOf(snapshot: Snapshot, byId: ReadonlyMap<SnapshotId, Snapshot>): SnapshotId[] {
  const line = [snapshot.id]
  for (let below = snapshot.parent; below !== undefined && !line.includes(below); ) {
    line.push(below)
    below = byId.get(below)?.parent
  }
  return line
}

function topmostFirst(snapshots: readonly Snapshot[]): SnapshotId[] {
  const byId = new Map(snapshots.map(snapshot => [snapshot.id, snapshot]))
  return snapshots
    .map(snapshot => ({ id: snapshot.id, height: lineOf(snapshot, byId).length }))
    .toSorted((a, b) => b.height - a.height)
    .map(({ id }) => id)
}

async function removeUnused(snapshotter: Snapshotter, id: SnapshotId): Promise<boolean> {
  try {
    await snapshotter.remove(id)
    return true
  } catch (error) {
    if (error instanceof KauriError && error.code === 'LOCK_BUSY') return false
    throw error
  }
}

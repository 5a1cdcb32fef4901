// Which unpacked trees must stay whatever their age: those that images stand on, and those of containers, whose changes
// exist nowhere else.

import { readdirSync } from 'node:fs'
import path from 'node:path'
import { hasErrno } from '../core/errors.ts'
import { imageSnapshotNames } from '../image/snapshot-names.ts'
import type { DiskStore } from '../store/disk-store.ts'

const containerIdForm = /^[0-9a-f]{64}$/

/** Names of the snapshots that hold what containers wrote. */
export function containerTrees(dataRoot: string): Set<string> {
  try {
    const names = readdirSync(path.join(dataRoot, 'containers'))
    return new Set(names.filter(name => containerIdForm.test(name)))
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return new Set()
    throw error
  }
}

/** The same, and the snapshots of every layer stack of the store's images but those that count for nothing. */
export async function neededTrees(
  store: DiskStore,
  dataRoot: string,
  ignoring: ReadonlySet<string> = new Set(),
): Promise<Set<string>> {
  const images = (await store.listEntries()).map(({ descriptor }) => descriptor)
  const counted = images.filter(({ digest }) => !ignoring.has(digest))
  return (await imageSnapshotNames(store, counted)).union(containerTrees(dataRoot))
}

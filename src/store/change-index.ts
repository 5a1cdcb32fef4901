// Changes index.json: under a lock among kauri's own processes, from the beginning again where another program changed
// the file meanwhile, and with everything that kauri does not know kept as it is.

import { open, rename, rm } from 'node:fs/promises'
import {
  asDiskFull,
  sweepTemporaries,
  syncDirectory,
  temporaryBeside,
} from '../core/atomic-file.ts'
import { type Descriptor, refNameAnnotation } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { formatReference, type Reference } from '../oci/reference.ts'
import { type LayoutEntry, readLayoutIndex, requireIndex, stampOf } from './layout-index.ts'
import { ensureLayout, lockStore } from './layout-lock.ts'
import type { LayoutPaths } from './layout-paths.ts'

/** The entry that index.json gets for an image; `reference` undefined: an image without a name. */
export function layoutEntry(descriptor: Descriptor, reference: Reference | undefined): LayoutEntry {
  const { [refNameAnnotation]: _, ...others } = descriptor.annotations ?? {}
  const name = reference === undefined ? {} : { [refNameAnnotation]: formatReference(reference) }
  const annotations = { ...others, ...name }
  const { annotations: __, ...bare } = descriptor
  const named: Descriptor = Object.keys(annotations).length === 0 ? bare : { ...bare, annotations }
  return { descriptor: named, reference, raw: { ...named } }
}

/**
 * Changes the index; atomic and durable. `change` may be called again when another program changed the file meanwhile,
 * and returns undefined for nothing to do. True when something was written. `prepare` is called when it is this process's
 * turn; what it returns is disposed when the change is done.
 * @throws LOCK_BUSY, STORE_INVALID, DISK_FULL
 */
export async function changeLayoutEntries(
  paths: LayoutPaths,
  change: (entries: readonly LayoutEntry[]) => readonly LayoutEntry[] | undefined,
  prepare?: () => Promise<Disposable>,
): Promise<boolean> {
  ensureLayout(paths)
  using held = new DisposableStack()
  held.use(await lockStore(paths.indexLock, 'exclusive'))
  if (prepare !== undefined) held.use(await prepare())
  requireIndex(paths)
  for (;;) {
    const index = await readLayoutIndex(paths)
    const changed = change(index.entries)
    if (changed === undefined) return false
    const document = {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      ...index.members,
      manifests: changed.map(entry => entry.raw),
    }
    if (await replaceIndex(paths, JSON.stringify(document), index.stamp)) return true
  }
}

/** False when the file is no longer what was read. What killed writers left is swept here. */
async function replaceIndex(paths: LayoutPaths, text: string, stamp: string): Promise<boolean> {
  sweepTemporaries(paths.index)
  const temporary = temporaryBeside(paths.index)
  try {
    const file = await open(temporary, 'wx', 0o644)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    if (stampOf(paths.index) !== stamp) return false
    await rename(temporary, paths.index)
    await syncDirectory(paths.root)
    return true
  } catch (error) {
    throw asDiskFull(error, paths.index)
  } finally {
    await rm(temporary, { force: true })
  }
}

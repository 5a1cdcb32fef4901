// Garbage collection by marking: what an entry of index.json or a given root reaches stays, and so does everything that
// is young or that an open batch may rely on. The sweep holds a lock that excludes the moment in which a blob appears or
// is found, so no writer can find a blob that is about to go.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hexOf } from '../oci/digest.ts'
import { sweepIngest, syncBlobs } from './blob-batch.ts'
import { childrenOf } from './children.ts'
import { sweepLayerRecords } from './layer-records.ts'
import { readLayoutEntries } from './layout-index.ts'
import { lockStore } from './layout-lock.ts'
import { type LayoutPaths } from './layout-paths.ts'
import type { BlobSource } from './store.ts'

export interface CollectOptions {
  /** Blobs used within this time stay. */
  readonly graceMs: number
  /** What somebody outside the index stands on. */
  readonly roots?: readonly Descriptor[]
  /** Look only at what these reach: an image that was just removed. */
  readonly within?: readonly Descriptor[]
  /** Count only. */
  readonly dryRun?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface Collected {
  readonly blobs: number
  readonly bytes: number
}

/** Removes the blobs that nobody needs. @throws LOCK_BUSY, CANCELLED, STORE_INVALID; nothing that is needed goes in any case */
export async function collectGarbage(
  store: BlobSource,
  paths: LayoutPaths,
  options: CollectOptions,
): Promise<Collected> {
  const { graceMs, roots = [], within, dryRun = false, signal } = options
  if (!existsSync(paths.marker)) return { blobs: 0, bytes: 0 }
  using _ = await lockStore(paths.sweepLock, 'exclusive', signal)
  // In this order: a batch opened after this line is younger than the grace time.
  const beforeMs = Math.min(Date.now() - graceMs, sweepIngest(paths))
  const entries = await readLayoutEntries(paths)
  const named = entries.map(entry => entry.descriptor).filter(entry => entry !== undefined)
  const kept = await markFrom(store, [...named, ...roots], signal)
  const candidates = within === undefined ? undefined : await markFrom(store, within, signal)
  let bytes = 0
  let blobs = 0
  for (const hex of candidates ?? blobNames(paths)) {
    if (kept.has(hex)) continue
    const file = path.join(paths.blobs, hex)
    const found = statSync(file, { throwIfNoEntry: false })
    if (found === undefined || !found.isFile() || found.mtimeMs >= beforeMs) continue
    if (!dryRun) rmSync(file, { force: true })
    blobs++
    bytes += found.size
  }
  if (dryRun || blobs === 0) return { blobs, bytes }
  syncBlobs(paths)
  const stored = new Set(blobNames(paths))
  await sweepLayerRecords(paths, hex => stored.has(hex))
  return { blobs, bytes }
}

const blobForm = /^[0-9a-f]{64}$/

/** Only names that kauri or another tool gives to finished blobs; temporary files of others are theirs. */
function blobNames({ blobs }: LayoutPaths): string[] {
  try {
    return readdirSync(blobs).filter(name => blobForm.test(name))
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

async function markFrom(
  store: BlobSource,
  roots: readonly Descriptor[],
  signal: AbortSignal | undefined,
): Promise<Set<string>> {
  const kept = new Set<string>()
  const waiting = [...roots]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    signal?.throwIfAborted()
    const hex = hexOf(next.digest)
    if (kept.has(hex)) continue
    kept.add(hex)
    waiting.push(...(await readableChildren(store, next)))
  }
  return kept
}

/** A damaged or missing document has no children to keep; it must not stop the collection for good. */
async function readableChildren(store: BlobSource, descriptor: Descriptor): Promise<Descriptor[]> {
  try {
    return (await childrenOf(store, descriptor)).map(child => child.descriptor)
  } catch (error) {
    if (error instanceof KauriError) return []
    throw error
  }
}

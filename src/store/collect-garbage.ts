// Garbage collection by marking: what an entry of index.json or a given root reaches stays, and so does everything that
// is young or that an open batch may rely on. The sweep holds a lock that excludes the moment in which a blob appears or
// is found, so no writer can find a blob that is about to go. Other programs know no lock: what they write is young, and
// the index is looked at again all along the sweep.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { hasErrno } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { sweepIngest, syncBlobs } from './blob-batch.ts'
import { sweepLayerRecords } from './layer-records.ts'
import { readLayoutIndex, stampOf } from './layout-index.ts'
import { lockStore } from './layout-lock.ts'
import { blobPathIn, type LayoutPaths } from './layout-paths.ts'
import { markBlobs, markCandidates, markForeignEntries } from './mark-blobs.ts'
import type { BlobSource } from './store.ts'

export interface CollectOptions {
  /** Blobs used within this time stay. */
  readonly graceMs: number
  /** What somebody outside the index stands on. */
  readonly roots?: readonly Descriptor[]
  /** Look only at what these reach: images that were just removed. */
  readonly within?: readonly Descriptor[]
  /** Entries of these count for nothing: a dry run asks what would go with them. */
  readonly ignoring?: ReadonlySet<Digest>
  /** False for blobs that stay although nobody needs them. */
  readonly isWanted?: (digest: Digest) => boolean
  /** Count only. */
  readonly dryRun?: boolean
  /** Hears of each blob that goes. */
  readonly onBlob?: (blob: CollectedBlob) => void
  readonly signal?: AbortSignal | undefined
}

export interface CollectedBlob {
  readonly digest: Digest
  readonly bytes: number
  /** Last use, in milliseconds since 1970. */
  readonly usedMs: number
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
  const { graceMs, dryRun = false, signal } = options
  if (!existsSync(paths.marker)) return { blobs: 0, bytes: 0 }
  using _ = await lockStore(paths.sweepLock, 'exclusive', signal)
  // In this order: a batch opened after this line is younger than the grace time.
  const beforeMs = Math.min(Date.now() - graceMs, sweepIngest(paths))
  const marks = await markNeeded(store, paths, options)
  const collected = await sweep(paths, { marks, beforeMs, options })
  if (dryRun || collected.blobs === 0) return collected
  syncBlobs(paths)
  const stored = new Set(blobNames(paths))
  await sweepLayerRecords(paths, hex => stored.has(hex))
  return collected
}

interface Marks {
  /** Hex of the blobs to look at. */
  readonly candidates: Iterable<string>
  isNeeded(hex: string): boolean
  /** Marks what another program has put into the index meanwhile. */
  refresh(): Promise<void>
}

interface Sweep {
  readonly marks: Marks
  readonly beforeMs: number
  readonly options: CollectOptions
}

const sweptBetweenLooks = 256

async function sweep(paths: LayoutPaths, { marks, beforeMs, options }: Sweep): Promise<Collected> {
  let bytes = 0
  let blobs = 0
  let looked = 0
  for (const hex of marks.candidates) {
    if (looked++ % sweptBetweenLooks === 0) await marks.refresh()
    if (marks.isNeeded(hex)) continue
    const digest = parseDigest(`sha256:${hex}`)
    if (options.isWanted?.(digest) === false) continue
    const file = blobPathIn(paths, digest)
    const found = statSync(file, { throwIfNoEntry: false })
    if (found === undefined || !found.isFile() || found.mtimeMs >= beforeMs) continue
    if (options.dryRun !== true) rmSync(file, { force: true })
    options.onBlob?.({ digest, bytes: found.size, usedMs: found.mtimeMs })
    blobs++
    bytes += found.size
  }
  return { blobs, bytes }
}

async function markNeeded(
  store: BlobSource,
  paths: LayoutPaths,
  { roots = [], within, ignoring, signal }: CollectOptions,
): Promise<Marks> {
  const marking = { store, paths, marked: new Set<string>(), signal }
  const candidates = within === undefined ? undefined : new Set<string>()
  if (candidates !== undefined) await markBlobs({ ...marking, marked: candidates }, within ?? [])
  const markRoots = (descriptors: readonly Descriptor[]): Promise<void> =>
    candidates === undefined
      ? markBlobs(marking, descriptors)
      : markCandidates(marking, descriptors, candidates)
  let stamp = ''
  const refresh = async (): Promise<void> => {
    if (stampOf(paths.index) === stamp) return
    const index = await readLayoutIndex(paths)
    stamp = index.stamp
    const entries = index.entries.flatMap(({ descriptor }) => descriptor ?? [])
    await markRoots(entries.filter(({ digest }) => ignoring?.has(digest) !== true))
    markForeignEntries(marking, index.entries)
  }
  await markRoots(roots)
  await refresh()
  return {
    candidates: candidates ?? blobNames(paths),
    isNeeded: hex => marking.marked.has(hex),
    refresh,
  }
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

// Garbage collection by marking: what an entry of index.json or a given root reaches stays, and so does everything that
// is young or that an open batch may rely on. The sweep holds a lock that excludes the moment in which a blob appears or
// is found, so no writer can find a blob that is about to go. Other programs know no lock: what they write is young, and
// the index is looked at again all along the sweep.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs'
import { hasErrno } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { sweepIngest, syncBlobs } from './ingest-directories.ts'
import { sweepLayerRecords } from './layer-records.ts'
import { readLayoutIndex, requireIndex, requireUnambiguous, stampOf } from './layout-index.ts'
import { lockForSweep } from './layout-lock.ts'
import { blobPathIn, type LayoutPaths } from './layout-paths.ts'
import { hexesInBlob, markBlobs, markCandidates, markForeignEntries } from './mark-blobs.ts'
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
  using _ = await lockForSweep(paths, signal)
  requireIndex(paths)
  // In this order: a batch opened after this line is younger than the grace time.
  const beforeMs = Math.min(Date.now() - graceMs, sweepIngest(paths))
  const marks = await markNeeded(store, paths, options)
  const garbage = await listGarbage(paths, { marks, beforeMs, options })
  if (!dryRun && garbage.length > 0) await removeGarbage(paths, { marks, garbage, options })
  const staying = new Set(garbage.filter(({ hex }) => marks.isNeeded(hex)))
  const gone = garbage.filter(blob => !staying.has(blob))
  for (const blob of gone) options.onBlob?.(blob)
  return { blobs: gone.length, bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0) }
}

interface Marks {
  /** Hex of the blobs to look at. */
  readonly candidates: Iterable<string>
  isNeeded(hex: string): boolean
  /** Marks what another program has put into the index meanwhile. */
  refresh(): Promise<void>
}

interface Listing {
  readonly marks: Marks
  readonly beforeMs: number
  readonly options: CollectOptions
}

interface Garbage extends CollectedBlob {
  readonly hex: string
}

async function listGarbage(
  paths: LayoutPaths,
  { marks, beforeMs, options }: Listing,
): Promise<Garbage[]> {
  const garbage: Garbage[] = []
  for (const hex of marks.candidates) {
    if (marks.isNeeded(hex)) continue
    const digest = parseDigest(`sha256:${hex}`)
    if (options.isWanted?.(digest) === false) continue
    const found = statSync(blobPathIn(paths, digest), { throwIfNoEntry: false })
    if (found === undefined || !found.isFile() || found.mtimeMs >= beforeMs) continue
    garbage.push({ hex, digest, bytes: found.size, usedMs: found.mtimeMs })
  }
  return garbage
}

interface Removal {
  readonly marks: Marks
  readonly garbage: readonly Garbage[]
  readonly options: CollectOptions
}

const removedBetweenLooks = 256

/** Records first: a kill in between leaves no record of a blob that is gone. */
async function removeGarbage(
  paths: LayoutPaths,
  { marks, garbage, options }: Removal,
): Promise<void> {
  const going = new Set(garbage.map(({ hex }) => hex))
  // Where one image goes, its configuration mentions the diff IDs that may have records.
  const diffIds =
    options.within === undefined ? undefined : garbage.flatMap(({ hex }) => hexesInBlob(paths, hex))
  await sweepLayerRecords(paths, { isStored: hex => !going.has(hex), diffIds })
  for (const [index, { hex, digest, usedMs }] of garbage.entries()) {
    if (index % removedBetweenLooks === 0) await marks.refresh()
    const file = blobPathIn(paths, digest)
    // Some programs write a blob that is there once more.
    const isUnused = statSync(file, { throwIfNoEntry: false })?.mtimeMs === usedMs
    if (isUnused && !marks.isNeeded(hex)) rmSync(file, { force: true })
  }
  syncBlobs(paths)
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
  requireUnambiguous(paths)
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

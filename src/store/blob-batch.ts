// Blobs on their way into the store. A batch is a directory below ingest/ with a lock that lives as long as its writer;
// its blobs are hashed as they are written, synced together, and renamed into place by one commit. What a killed writer left is
// recognised by its lock being free, and swept by the next one.

import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull, syncDirectory } from '../core/atomic-file.ts'
import { mapConcurrent } from '../core/concurrency.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { claimDirectory, nameFinished, sweepIngest } from './ingest-directories.ts'
import { ensureLayout, lockForUse } from './layout-lock.ts'
import { blobPathIn, type LayoutPaths } from './layout-paths.ts'
import type { PutOptions, StoredBlob } from './store.ts'
import { writePieces } from './write-pieces.ts'

/** Writes one blob by pushing bytes. Disposing it before `finish` drops what was written; idempotent. */
export interface BlobWriter extends Disposable {
  /** Appends bytes; they are copied or written before this returns. @throws DISK_FULL */
  write(bytes: Uint8Array): void
  /** Ends the blob; it becomes visible with the batch's commit. @throws CHECKSUM_MISMATCH where it is not what was expected */
  finish(expected?: PutOptions['expected']): StoredBlob
}

/** Several blobs that become durable and visible together. Disposing it drops what was not committed; idempotent. */
export interface BlobBatch extends Disposable {
  create(): BlobWriter
  /** Writes a whole blob from a stream. @throws CHECKSUM_MISMATCH, DISK_FULL */
  put(source: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<StoredBlob>
  /** Takes over a file of the store's file system, whose bytes the caller has hashed and nobody writes any more. */
  adopt(file: string, stored: StoredBlob): void
  /** A blob that was finished and is not yet committed; undefined for any other. */
  findPending(digest: Digest): PendingBlob | undefined
  /**
   * Makes the finished blobs durable and visible, all of them or those that are named; the others are dropped. May be
   * called again after more blobs.
   * @throws DISK_FULL, LOCK_BUSY, CANCELLED
   */
  commit(options?: CommitBatchOptions): Promise<void>
}

export interface CommitBatchOptions {
  readonly only?: ReadonlySet<Digest>
  readonly signal?: AbortSignal | undefined
}

/** A blob that nobody else can see yet. */
export interface PendingBlob {
  /** For reading only. */
  readonly file: string
  readonly stored: StoredBlob
}

/** How many files wait for the disk at once. */
const syncsAtOnce = 4

/** Opens a batch; sweeps what killed writers left, and keeps the blobs that they had finished. */
export function openBlobBatch(paths: LayoutPaths): BlobBatch {
  ensureLayout(paths)
  sweepIngest(paths)
  const { directory, lock } = claimDirectory(paths)
  const finished: FinishedBlob[] = []
  let isOpen = true
  let counter = 0
  const openBlob = (): OpenBlob =>
    openBlobFile(path.join(directory, String(counter++)), blob => finished.push(blob))
  const rethrowDiskFull = (error: unknown): never => {
    throw asDiskFull(error, paths.root)
  }
  return {
    create: () => blobWriter(openBlob()),
    findPending: digest => finished.find(({ stored }) => stored.digest === digest),
    async put(source, { expected, signal } = {}) {
      using blob = openBlob()
      const stored = await writePieces(source, blob.fd, { signal, rethrow: rethrowDiskFull })
      return blob.finish(stored, expected, 'sync-at-once')
    },
    adopt(file, stored) {
      const own = path.join(directory, String(counter++))
      chmodSync(file, 0o444)
      renameSync(file, own)
      finished.push({ file: own, stored, synced: undefined })
    },
    async commit({ only, signal } = {}) {
      const blobs = finished.splice(0)
      const wanted = blobs.filter(({ stored }) => only === undefined || only.has(stored.digest))
      try {
        await publish(paths, wanted, signal)
      } catch (error) {
        throw asDiskFull(error, paths.root)
      }
    },
    [Symbol.dispose]() {
      if (!isOpen) return
      isOpen = false
      rmSync(directory, { recursive: true, force: true })
      lock.removeAndRelease()
    },
  }
}

/** A blob's file while it is written. */
interface OpenBlob extends Disposable {
  readonly fd: number
  readonly file: string
  /** Ends it as what was written. @throws CHECKSUM_MISMATCH */
  finish(
    stored: StoredBlob,
    expected: PutOptions['expected'],
    durability: 'sync-at-once' | 'sync-at-commit',
  ): StoredBlob
}

interface FinishedBlob extends PendingBlob {
  /** Its way to the disk, where that has begun. */
  readonly synced: Promise<void> | undefined
}

function openBlobFile(file: string, onFinish: (blob: FinishedBlob) => void): OpenBlob {
  const fd = openSync(file, 'wx', 0o444)
  let isOpen = true
  return {
    fd,
    file,
    finish(stored, expected, durability) {
      checkExpected(stored, expected)
      // The umask may have taken bits away.
      fchmodSync(fd, 0o444)
      isOpen = false
      closeSync(fd)
      // What somebody asked for by its digest is worth keeping, even if this process is killed before its commit.
      const kept = expected === undefined ? file : nameFinished(file, stored.digest)
      const synced = durability === 'sync-at-once' ? syncFile(kept) : undefined
      // Whoever commits sees the failure; until then it must not count as unhandled.
      synced?.catch(() => {})
      onFinish({ file: kept, stored, synced })
      return stored
    },
    [Symbol.dispose]() {
      if (!isOpen) return
      isOpen = false
      closeSync(fd)
      rmSync(file, { force: true })
    },
  }
}

function blobWriter(blob: OpenBlob): BlobWriter {
  const digester = createDigester()
  let size = 0
  return {
    write(bytes) {
      digester.update(bytes)
      size += bytes.byteLength
      try {
        for (let at = 0; at < bytes.byteLength; ) at += writeSync(blob.fd, bytes, at)
      } catch (error) {
        throw asDiskFull(error, blob.file)
      }
    },
    finish: expected =>
      blob.finish({ digest: digester.digest(), size }, expected, 'sync-at-commit'),
    [Symbol.dispose]: () => blob[Symbol.dispose](),
  }
}

/** @throws CHECKSUM_MISMATCH where bytes are not what was asked for */
export function checkExpected(stored: StoredBlob, expected: PutOptions['expected']): void {
  if (expected === undefined) return
  if (expected.size !== undefined && expected.size !== stored.size)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `expected ${expected.size} bytes of ${expected.digest}, got ${stored.size}`,
    )
  if (expected.digest !== stored.digest)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `expected the digest ${expected.digest}, got ${stored.digest}`,
    )
}

/** All data first, then the names, then the directory once: one wait for the disk instead of one for each blob. */
async function publish(
  paths: LayoutPaths,
  blobs: readonly FinishedBlob[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (blobs.length === 0) return
  await mapConcurrent(blobs, syncsAtOnce, ({ file, synced }) => synced ?? syncFile(file))
  using _ = await lockForUse(paths, signal)
  for (const { file, stored } of blobs) {
    const target = blobPathIn(paths, stored.digest)
    if (isThere(target, stored.size)) markUsed(target)
    else renameSync(file, target)
  }
  await syncDirectory(paths.blobs)
}

async function syncFile(file: string): Promise<void> {
  const handle = await open(file, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A file of another length under that name is damaged, and replaced. */
function isThere(target: string, size: number): boolean {
  return statSync(target, { throwIfNoEntry: false })?.size === size
}

/** True when the blob is there; garbage collection then takes it for newly written. */
export async function useBlob(paths: LayoutPaths, digest: Digest): Promise<boolean> {
  if (!existsSync(blobPathIn(paths, digest))) return false
  using _ = await lockForUse(paths)
  return useBlobLocked(paths, digest)
}

/** The same for who holds the lock. */
export function useBlobLocked(paths: LayoutPaths, digest: Digest): boolean {
  try {
    markUsed(blobPathIn(paths, digest))
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return false
    throw error
  }
}

/** Who may only read the store cannot collect garbage in it either. */
function markUsed(file: string): void {
  const now = new Date()
  try {
    utimesSync(file, now, now)
  } catch (error) {
    if (!hasErrno(error, 'EPERM', 'EACCES', 'EROFS')) throw error
  }
}

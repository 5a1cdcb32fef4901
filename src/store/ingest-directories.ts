// The directories of batches below ingest/, and what becomes of those whose writers were killed: blobs that were finished
// and asked for by their digests go into the store, so that the next attempt need not fetch them again; the rest goes.

import { randomUUID } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { namesIn } from '../core/directory-names.ts'
import { type FileLock, tryLockFile } from '../native/file-lock.ts'
import { createDigester, type Digest, hexOf, parseDigest } from '../oci/digest.ts'
import { blobPathIn, type LayoutPaths } from './layout-paths.ts'
import { sweepUpload } from './upload-files.ts'

export interface ClaimedDirectory {
  readonly directory: string
  readonly lock: FileLock
}

const lockSuffix = '.lock'

/**
 * A directory of its own, and the lock beside it, which is there before the directory and goes after it. The name begins
 * with the time, so that garbage collection knows since when the batch is open.
 */
export function claimDirectory({ ingest }: LayoutPaths): ClaimedDirectory {
  for (;;) {
    const directory = path.join(ingest, `${Date.now()}-${process.pid}-${randomUUID()}`)
    const lock = tryLockFile(`${directory}${lockSuffix}`, 'exclusive')
    // A sweep saw the lock file before it was locked, and holds it now.
    if (lock === undefined) continue
    mkdirSync(directory, { mode: 0o700 })
    return { directory, lock }
  }
}

/** Renames a finished blob of a batch so that a sweep knows what it is; returns its file. */
export function nameFinished(file: string, digest: Digest): string {
  const named = path.join(path.dirname(file), hexOf(digest))
  renameSync(file, named)
  return named
}

/** Ends the batches whose writers are dead. Returns when the oldest living one began, in milliseconds since 1970. */
export function sweepIngest(paths: LayoutPaths): number {
  let oldestMs = Number.POSITIVE_INFINITY
  for (const name of namesIn(paths.ingest)) {
    const file = path.join(paths.ingest, name)
    sweepUpload(file)
    if (!name.endsWith(lockSuffix)) continue
    using lock = tryLockFile(file, 'exclusive')
    if (lock === undefined) oldestMs = Math.min(oldestMs, Number.parseInt(name, 10) || 0)
    else {
      const directory = file.slice(0, -lockSuffix.length)
      keepFinished(paths, directory)
      rmSync(directory, { recursive: true, force: true })
      lock.removeAndRelease()
    }
  }
  return oldestMs
}

const finishedForm = /^[0-9a-f]{64}$/

/** They are garbage, but young: who asks for them again within the time of grace finds them. */
function keepFinished(paths: LayoutPaths, directory: string): void {
  let isAny = false
  for (const name of namesIn(directory).filter(each => finishedForm.test(each))) {
    const file = path.join(directory, name)
    const digest = parseDigest(`sha256:${name}`)
    const target = blobPathIn(paths, digest)
    if (statSync(target, { throwIfNoEntry: false }) !== undefined || digestOnDisk(file) !== digest)
      continue
    const now = new Date()
    utimesSync(file, now, now)
    renameSync(file, target)
    isAny = true
  }
  if (isAny) syncBlobs(paths)
}

const readBytes = 1024 * 1024

/** The digest of a file that is on the disk when this returns. */
function digestOnDisk(file: string): Digest {
  const fd = openSync(file, 'r')
  try {
    fsyncSync(fd)
    const digester = createDigester()
    const buffer = new Uint8Array(readBytes)
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      digester.update(buffer.subarray(0, count))
    return digester.digest()
  } finally {
    closeSync(fd)
  }
}

/** Makes the removal or appearance of blobs durable at once. */
export function syncBlobs(paths: LayoutPaths): void {
  const fd = openSync(paths.blobs, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

// Where things lie in a store. The first group is an OCI image layout (image-spec v1.1.1 image-layout.md), which other
// tools read and write as well; the second is kauri's own, ignored by them and derivable but for what is being written.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { type FileLock, type LockMode, lockFile } from '../native/file-lock.ts'
import { type Digest, hexOf } from '../oci/digest.ts'

export interface LayoutPaths {
  readonly root: string
  readonly marker: string
  readonly index: string
  readonly blobs: string
  /** Blobs being written: one directory for each batch, locked while its writer lives. */
  readonly ingest: string
  /** What is known of layers, by diff ID. */
  readonly diffIds: string
  /** Held exclusively by who changes index.json. */
  readonly indexLock: string
  /** Held shared for the moment in which a blob appears or is found, exclusively while garbage is swept. */
  readonly sweepLock: string
}

export function layoutPaths(root: string): LayoutPaths {
  return {
    root,
    marker: path.join(root, 'oci-layout'),
    index: path.join(root, 'index.json'),
    blobs: path.join(root, 'blobs', 'sha256'),
    ingest: path.join(root, 'ingest'),
    diffIds: path.join(root, 'diff-ids'),
    indexLock: path.join(root, 'index.lock'),
    sweepLock: path.join(root, 'sweep.lock'),
  }
}

export function blobPathIn(paths: LayoutPaths, digest: Digest): string {
  return path.join(paths.blobs, hexOf(digest))
}

/**
 * Makes an empty layout where none is; idempotent. Only the owner may enter: layers hold /etc/shadow and the like.
 */
export function ensureLayout(paths: LayoutPaths): void {
  if (existsSync(paths.marker)) return
  mkdirSync(path.dirname(paths.root), { recursive: true, mode: 0o711 })
  mkdirSync(paths.root, { recursive: true, mode: 0o700 })
  mkdirSync(paths.blobs, { recursive: true })
  try {
    writeFileSync(paths.marker, '{"imageLayoutVersion":"1.0.0"}', {
      flag: 'wx',
    })
  } catch (error) {
    if (!existsSync(paths.marker)) throw error
  }
}

const longestLockWaitMs = 60_000

/** Takes a lock of the store, waiting at most a minute. @throws LOCK_BUSY, CANCELLED */
export async function lockStore(
  file: string,
  mode: LockMode,
  signal?: AbortSignal,
): Promise<FileLock> {
  const deadline = AbortSignal.timeout(longestLockWaitMs)
  const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  try {
    return await lockFile(file, mode, either)
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    if (!deadline.aborted) throw error
    throw new KauriError('LOCK_BUSY', `${file} was held by another process for a minute`, {
      hint: 'see what holds it with fuser, wait for it to end, then try again',
      cause: error,
    })
  }
}

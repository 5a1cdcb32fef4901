// What only writers of a store need: the layout itself, and its locks.

import { existsSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { asDiskFull, temporaryBeside } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { type FileLock, type LockMode, lockFile } from '../native/file-lock.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { LayoutPaths } from './layout-paths.ts'

/**
 * Makes an empty layout where none is; idempotent. Only the owner may enter: layers hold /etc/shadow and the like.
 */
export function ensureLayout(paths: LayoutPaths): void {
  if (existsSync(paths.marker)) return
  mkdirSync(path.dirname(paths.root), { recursive: true, mode: 0o711 })
  mkdirSync(paths.root, { recursive: true, mode: 0o700 })
  mkdirSync(paths.blobs, { recursive: true })
  // The index first: a layout has one, and where it is missing later somebody has removed it.
  writeNew(paths.index, JSON.stringify(emptyIndex))
  writeNew(paths.marker, layoutMarker)
}

/** What `oci-layout` holds (image-spec v1.1.1 image-layout.md#oci-layout-file). */
export const layoutMarker = '{"imageLayoutVersion":"1.0.0"}'

const emptyIndex = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] } as const

/** Whole or not at all; what is there already stays. */
function writeNew(file: string, text: string): void {
  const temporary = temporaryBeside(file)
  try {
    writeFileSync(temporary, text, { flag: 'wx', mode: 0o644, flush: true })
    linkSync(temporary, file)
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw asDiskFull(error, file)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/**
 * Held for the moment in which a blob appears, is found, or is named. Not to be taken by who holds it already: a sweep
 * that waits lets nobody in any more.
 * @throws LOCK_BUSY, CANCELLED
 */
export async function lockForUse(paths: LayoutPaths, signal?: AbortSignal): Promise<FileLock> {
  using _ = await lockStore(paths.sweepGate, 'shared', signal)
  return await lockStore(paths.sweepLock, 'shared', signal)
}

/** Held while garbage is swept. The gate keeps newcomers out, so that it is had also where somebody always uses the store. */
export async function lockForSweep(paths: LayoutPaths, signal?: AbortSignal): Promise<Disposable> {
  using locks = new DisposableStack()
  locks.use(await lockStore(paths.sweepGate, 'exclusive', signal))
  locks.use(await lockStore(paths.sweepLock, 'exclusive', signal))
  return locks.move()
}

/** The kernel drops the lock of whoever dies, so this is for those that hang; crowds on a slow machine take minutes. */
const longestLockWaitMs = 600_000

/** Takes a lock of the store, waiting at most ten minutes. @throws LOCK_BUSY, CANCELLED */
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
    throw new KauriError('LOCK_BUSY', `${file} was held by other processes for ten minutes`, {
      hint: 'see what holds it with fuser, wait for it to end, then try again',
      cause: error,
    })
  }
}

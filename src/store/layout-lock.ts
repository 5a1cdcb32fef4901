// What only writers of a store need: the layout itself, and its locks.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { type FileLock, type LockMode, lockFile } from '../native/file-lock.ts'
import type { LayoutPaths } from './layout-paths.ts'

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

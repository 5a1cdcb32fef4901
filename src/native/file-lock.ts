// Locks between processes: flock(2) on a file, released by the kernel when its holder dies, so no lock is ever stale.
// A lock file may be removed by who holds it; takers therefore check that the file they locked still has its name.

import { closeSync, constants, fstatSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno } from '../core/errors.ts'
import { native } from './native.ts'

export type LockMode = 'shared' | 'exclusive'

/** A held lock; disposing releases it. Idempotent. */
export interface FileLock extends Disposable {
  /** A process that inherits it holds the lock, too, until its own copy is closed. */
  readonly fd: number
  /** Removes the lock file and releases; only for names that are used once. */
  removeAndRelease(): void
}

const firstWaitMs = 2
const longestWaitMs = 100

/** Takes the lock now, or returns undefined where somebody else holds it. Makes the file and its directory. */
export function tryLockFile(file: string, mode: LockMode): FileLock | undefined {
  for (;;) {
    const fd = openLockFile(file)
    if (!native().tryLock(fd, mode)) {
      closeSync(fd)
      return undefined
    }
    if (stillNamed(file, fd)) return heldLock(file, fd)
    closeSync(fd)
  }
}

/** Waits for the lock. @throws the signal's reason when it aborts first */
export async function lockFile(
  file: string,
  mode: LockMode,
  signal?: AbortSignal,
): Promise<FileLock> {
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMs * 2, longestWaitMs)) {
    signal?.throwIfAborted()
    const lock = tryLockFile(file, mode)
    if (lock !== undefined) return lock
    await sleep(waitMs, undefined, { signal }).catch(() => signal?.throwIfAborted())
  }
}

/** Does `work` while holding the lock exclusively; the lock file goes when it ends. */
export async function whileLocked<T>(
  file: string,
  work: () => T | Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const lock = await lockFile(file, 'exclusive', signal)
  try {
    return await work()
  } finally {
    lock.removeAndRelease()
  }
}

/** A lock that this process inherited by its descriptor; it is not asked whether that holds it. */
export function adoptLock(file: string, fd: number): FileLock {
  return heldLock(file, fd)
}

function openLockFile(file: string): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
  try {
    return openSync(file, flags, 0o600)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
    return openSync(file, flags, 0o600)
  }
}

function stillNamed(file: string, fd: number): boolean {
  const named = statSync(file, { throwIfNoEntry: false })
  return named !== undefined && named.ino === fstatSync(fd).ino
}

function heldLock(file: string, fd: number): FileLock {
  let held = true
  const release = (): void => {
    if (held) closeSync(fd)
    held = false
  }
  return {
    fd,
    removeAndRelease() {
      if (held) rmSync(file, { force: true })
      release()
    },
    [Symbol.dispose]: release,
  }
}

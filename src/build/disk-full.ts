// Programs say "No space left on device" in their own ways, and often what they wrote is gone again when the failure
// arrives here: the words of all that went wrong, and the file system itself, tell whether the disk was full.

import { statfs } from 'node:fs/promises'
import { hasErrno, KauriError } from '../core/errors.ts'

/** Less than this free, and whatever failed is taken to have failed for it. */
const scarceBytes = 2 * 1024 * 1024

/** DISK_FULL around an error that a full disk made; other errors unchanged. `directory` is where the work was done. */
export async function explainFullDisk(error: unknown, directory: string): Promise<unknown> {
  if (error instanceof KauriError && (error.code === 'DISK_FULL' || error.code === 'CANCELLED'))
    return error
  // What a script says has its own words in it, and may be of a file system of its own: only a disk that is full counts.
  const isScript = error instanceof KauriError && error.code === 'SCRIPT_FAILED'
  if ((isScript || !tellsOfFullDisk(error)) && !(await isFull(directory))) return error
  const what = error instanceof Error ? error.message : String(error)
  return new KauriError('DISK_FULL', `no space left below ${directory}: ${what}`, {
    hint: 'free space, or put the state elsewhere with --data-root DIR',
    ...(error instanceof KauriError ? { where: error.where, output: error.output } : {}),
    cause: error,
  })
}

const fullDisk = /no space left on device|disk quota exceeded/i

function tellsOfFullDisk(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (hasErrno(error, 'ENOSPC', 'EDQUOT') || fullDisk.test(error.message)) return true
  return tellsOfFullDisk(error.cause)
}

async function isFull(directory: string): Promise<boolean> {
  const { bavail, bsize, files, ffree } = await statfs(directory)
  return bavail * bsize < scarceBytes || (files > 0 && ffree === 0)
}

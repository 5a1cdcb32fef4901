// Programs inside a root say "No space left on device" in their own ways; whether the disk is full, the file system knows.

import { statfs } from 'node:fs/promises'
import { KauriError } from '../core/errors.ts'

/** Less than this free, and whatever failed is taken to have failed for it. */
const scarceBytes = 2 * 1024 * 1024

/** DISK_FULL around an error that happened while the directory's file system had no space left; other errors unchanged. */
export async function explainFullDisk(error: unknown, directory: string): Promise<unknown> {
  if (error instanceof KauriError && (error.code === 'DISK_FULL' || error.code === 'CANCELLED'))
    return error
  const { bavail, bsize, files, ffree } = await statfs(directory)
  if (bavail * bsize >= scarceBytes && (files === 0 || ffree > 0)) return error
  const what = error instanceof Error ? error.message : String(error)
  return new KauriError('DISK_FULL', `no space left below ${directory}: ${what}`, {
    hint: 'free space, or put the state elsewhere with --data-root DIR',
    cause: error,
  })
}

// Where an archive's bytes go: a file that appears when it is complete, or a pipe or device that is already there.

import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import {
  asDiskFull,
  isSpecialFile,
  sweepTemporaries,
  temporaryBeside,
} from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'

/**
 * Writes a file atomically, or into what is there and is no regular file, such as /dev/stdout.
 * @throws FILE_NOT_FOUND, USAGE for a directory, DISK_FULL, PROCESS_FAILED where a pipe's reader is gone, CANCELLED
 */
export async function writeArchive(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal === undefined ? {} : { signal }
  if (isSpecialFile(file)) {
    try {
      return await pipeline(bytes, createWriteStream(file, { flags: 'a' }), options)
    } catch (error) {
      throw asWriteFailure(error, file)
    }
  }
  try {
    sweepTemporaries(file)
  } catch (error) {
    throw hasErrno(error, 'ENOENT', 'ENOTDIR') ? missingDirectory(file, error) : error
  }
  const temporary = temporaryBeside(file)
  try {
    await pipeline(bytes, createWriteStream(temporary, { flags: 'wx' }), options)
    await rename(temporary, file)
  } catch (error) {
    throw asWriteFailure(error, file)
  } finally {
    await rm(temporary, { force: true })
  }
}

/** Tells in words why an archive cannot be written; other errors pass unchanged. */
export function asWriteFailure(error: unknown, file: string): unknown {
  if (hasErrno(error, 'EISDIR'))
    return new KauriError('USAGE', `${file} is a directory`, { hint: 'name a file', cause: error })
  if (hasErrno(error, 'EPIPE'))
    return new KauriError('PROCESS_FAILED', `nobody reads ${file} any more`, {
      hint: 'the program behind the pipe ended before it had the whole archive',
    })
  return asDiskFull(error, file)
}

function missingDirectory(file: string, cause: unknown): KauriError {
  return new KauriError('FILE_NOT_FOUND', `the directory of ${file} does not exist`, {
    hint: 'make it first',
    cause,
  })
}

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

/** Writes a file atomically, or into what is there and is no regular file, such as /dev/stdout. @throws DISK_FULL, CANCELLED */
export async function writeArchive(
  file: string,
  bytes: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal === undefined ? {} : { signal }
  if (isSpecialFile(file))
    return await pipeline(bytes, createWriteStream(file, { flags: 'a' }), options)
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
    throw asDiskFull(error, file)
  } finally {
    await rm(temporary, { force: true })
  }
}

function missingDirectory(file: string, cause: unknown): KauriError {
  return new KauriError('FILE_NOT_FOUND', `the directory of ${file} does not exist`, {
    hint: 'make it first',
    cause,
  })
}

// Records of the cache: what they say can be found out again, so nobody waits for the disk; a reader takes what is not
// whole for missing.

import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull, temporaryBeside } from '../core/atomic-file.ts'

/** Replaces a record. @throws DISK_FULL */
export async function writeRecord(file: string, text: string): Promise<void> {
  const temporary = temporaryBeside(file)
  try {
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600 })
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw asDiskFull(error, file)
  }
}

// Small files of a cache: there whole or not at all while the machine runs, and not waited for until the disk has them.
// Who reads one must be able to do without it: after a power failure it may be empty.

import { mkdir, rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull, temporaryBeside } from '../core/atomic-file.ts'

/** Replaces a record; makes its directory. @throws DISK_FULL */
export async function writeRecord(file: string, content: string | Uint8Array): Promise<void> {
  const temporary = temporaryBeside(file)
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o755 })
    await writeFile(temporary, content, { mode: 0o644 })
    await rename(temporary, file)
  } catch (error) {
    throw asDiskFull(error, file)
  }
}

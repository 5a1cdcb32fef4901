// Directories for what is needed only while a build works. Each is held by a lock that the kernel releases when its
// process dies, so whoever comes next can tell what was left and removes it.

import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { namesIn } from '../core/directory-names.ts'
import { lockFile, tryLockFile } from '../native/file-lock.ts'

/** An empty directory, mode 0700; disposing removes it with all that is in it. */
export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string
}

const lockSuffix = '.lock'

/** Makes a directory below `<dataRoot>/scratch`. */
export async function openScratchDirectory(dataRoot: string): Promise<ScratchDirectory> {
  const directory = path.join(dataRoot, 'scratch', randomUUID())
  const lock = await lockFile(directory + lockSuffix, 'exclusive')
  mkdirSync(directory, { mode: 0o700 })
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      await rm(directory, { recursive: true, force: true })
      lock.removeAndRelease()
    },
  }
}

/** Removes the directories of processes that are no more; one directory listing where there are none. */
export async function sweepScratchDirectories(dataRoot: string): Promise<void> {
  const parent = path.join(dataRoot, 'scratch')
  for (const name of namesIn(parent)) {
    // The lock is made before its directory, so a directory without one was left by a sweep that died.
    const directory = path.join(
      parent,
      name.endsWith(lockSuffix) ? name.slice(0, -lockSuffix.length) : name,
    )
    const lock = tryLockFile(directory + lockSuffix, 'exclusive')
    if (lock === undefined) continue
    await rm(directory, { recursive: true, force: true })
    lock.removeAndRelease()
  }
}

// Files that are there whole or not at all: temporary file in the same directory, fsync, rename, fsync of the directory.

import { randomUUID } from 'node:crypto'
import { existsSync, lstatSync, readdirSync, rmSync, statSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from './errors.ts'

/** Prefix of every temporary name, so that sweeps recognise what a killed process left. */
export const temporaryPrefix = '.kauri-tmp-'

/** A new temporary name beside `target`. */
export function temporaryBeside(target: string): string {
  return path.join(path.dirname(target), `${temporaryPrefix}${process.pid}-${randomUUID()}`)
}

/** Removes the temporaries beside `target` whose writers are dead; for directories that belong to the user. */
export function sweepTemporaries(target: string): void {
  const directory = path.dirname(target)
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(temporaryPrefix)) continue
    const pid = Number.parseInt(name.slice(temporaryPrefix.length), 10)
    if (pid === process.pid || existsSync(`/proc/${pid}`)) continue
    rmSync(path.join(directory, name), { recursive: true, force: true })
  }
}

/** True for what must be written into and never be replaced: pipes, devices such as /dev/null and /dev/stdout. */
export function isSpecialFile(file: string): boolean {
  const found = lstatSync(file, { throwIfNoEntry: false })
  const target = found?.isSymbolicLink() ? statSync(file, { throwIfNoEntry: false }) : found
  return target !== undefined && !target.isFile()
}

/** Replaces a file atomically and durably, or writes into a special one; makes its directory. @throws DISK_FULL */
export async function writeFileAtomic(
  target: string,
  content: string | Uint8Array,
  mode = 0o644,
): Promise<void> {
  if (isSpecialFile(target)) return await writeFile(target, content, { flag: 'a' })
  await mkdir(path.dirname(target), { recursive: true })
  const temporary = temporaryBeside(target)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, target)
    await syncDirectory(path.dirname(target))
  } catch (error) {
    await rm(temporary, { force: true })
    throw asDiskFull(error, target)
  }
}

/**
 * Replaces a record of a cache: there whole or not at all while the machine runs, and nobody waits for the disk. After a
 * power failure it may be empty, so a reader takes what is not whole for missing. Makes its directory. @throws DISK_FULL
 */
export async function writeCacheRecord(
  target: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
  mode = 0o644,
): Promise<void> {
  const temporary = temporaryBeside(target)
  try {
    await mkdir(path.dirname(target), { recursive: true, mode: 0o755 })
    await writeFile(temporary, content, { flag: 'wx', mode })
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw asDiskFull(error, target)
  }
}

/** Makes renames and removals in a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A file's text, or undefined where there is no such file. */
export async function readTextIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** Turns ENOSPC and EDQUOT into DISK_FULL with the path; other errors pass unchanged. */
export function asDiskFull(error: unknown, where: string): unknown {
  if (!hasErrno(error, 'ENOSPC', 'EDQUOT')) return error
  return new KauriError('DISK_FULL', `no space left while writing ${where}`, {
    hint: 'free space, or put the state elsewhere with --data-root DIR',
    cause: error,
  })
}

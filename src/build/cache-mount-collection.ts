// What cache mounts take on the disk, and how they go again: those unused for long, then the least recently used ones until
// the rest fits. What somebody uses right now stays.

import { closeSync, constants, openSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setImmediate } from 'node:timers/promises'
import { temporaryPrefix } from '../core/atomic-file.ts'
import { hasErrno } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { readTextSync } from '../core/text-file.ts'
import { tryLockFile } from '../native/file-lock.ts'
import { oPath } from '../native/in-root.ts'
import { native, scanFields, scanWidth } from '../native/native.ts'
import { cacheMountLock, cacheMountRoot, dataName, recordName } from './cache-mounts.ts'

/** One directory of a cache mount. */
export interface CacheMountInfo {
  /** Of the directory. */
  readonly name: string
  /** As the build named it. */
  readonly id: string
  /** On the disk. */
  readonly bytes: number
  /** Last use, in milliseconds since 1970. */
  readonly usedMs: number
  readonly inUse: boolean
}

export interface CollectCacheMounts {
  /** Those used since stay, milliseconds since 1970. */
  readonly usedBeforeMs: number
  /** What all that stay may take together; undefined: no bound. */
  readonly maxBytes?: number | undefined
  /** Look only at these directories. */
  readonly within?: ReadonlySet<string>
  readonly dryRun?: boolean
  readonly signal?: AbortSignal | undefined
}

/** Every cache mount, the least recently used first; reads all directories. @throws CANCELLED */
export async function listCacheMounts(
  dataRoot: string,
  signal?: AbortSignal,
): Promise<CacheMountInfo[]> {
  const found: CacheMountInfo[] = []
  for (const name of copyNames(cacheMountRoot(dataRoot))) {
    const directory = path.join(cacheMountRoot(dataRoot), name)
    const record = statSync(path.join(directory, recordName), { throwIfNoEntry: false })
    if (record === undefined) continue
    const lock = tryLockFile(cacheMountLock(dataRoot, name), 'exclusive')
    lock?.[Symbol.dispose]()
    const bytes = await diskBytes(path.join(directory, dataName), signal)
    const id = idOf(directory)
    found.push({ name, id, bytes, usedMs: record.mtimeMs, inUse: lock === undefined })
  }
  return found.toSorted((a, b) => a.usedMs - b.usedMs)
}

/** Removes what is old or too much, and tells what went. @throws CANCELLED */
export async function collectCacheMounts(
  dataRoot: string,
  { usedBeforeMs, maxBytes = Infinity, within, dryRun = false, signal }: CollectCacheMounts,
): Promise<{ readonly mounts: number; readonly bytes: number }> {
  const all = await listCacheMounts(dataRoot, signal)
  let left = all.reduce((total, { bytes }) => total + bytes, 0)
  let mounts = 0
  let freed = 0
  for (const { name, bytes, usedMs, inUse } of all) {
    if (inUse || within?.has(name) === false || (usedMs >= usedBeforeMs && left <= maxBytes))
      continue
    if (!dryRun && !removeCopy(dataRoot, name)) continue
    mounts++
    freed += bytes
    left -= bytes
  }
  return { mounts, bytes: freed }
}

const copyForm = /^[0-9a-f]{64}\.\d+$/

function copyNames(root: string): string[] {
  try {
    return readdirSync(root).filter(name => copyForm.test(name))
  } catch (error) {
    // They are root's alone.
    if (hasErrno(error, 'ENOENT', 'EACCES')) return []
    throw error
  }
}

/** What the record says, for people. */
function idOf(directory: string): string {
  try {
    const record: unknown = JSON.parse(readTextSync(path.join(directory, recordName)) ?? '{}')
    const id = typeof record === 'object' && record !== null && 'id' in record ? record.id : ''
    return typeof id === 'string' ? id : ''
  } catch (error) {
    if (error instanceof SyntaxError) return ''
    throw error
  }
}

/** False where somebody uses it. Without its record, which goes first, a directory is none. */
function removeCopy(dataRoot: string, name: string): boolean {
  const lock = tryLockFile(cacheMountLock(dataRoot, name), 'exclusive')
  if (lock === undefined) return false
  const rootFd = openSync(cacheMountRoot(dataRoot), oPath | constants.O_DIRECTORY)
  try {
    // Under another name at once, so that nobody finds half of it.
    const trash = `${temporaryPrefix}${process.pid}-${name}`
    native().renameAt(rootFd, name, rootFd, trash)
    native().removeTreeAt(rootFd, trash)
    return true
  } finally {
    closeSync(rootFd)
    lock.removeAndRelease()
  }
}

const entriesBetweenPauses = 20_000

/**
 * Blocks of everything below a directory, no link followed. Names too long to be reached by one path count nothing: they
 * are somebody's joke.
 */
async function diskBytes(directory: string, signal: AbortSignal | undefined): Promise<number> {
  const rootFd = openSync(directory, oPath | constants.O_DIRECTORY)
  try {
    let blocks = 0
    let entries = 0
    const waiting = ['.']
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (signal?.aborted) throw cancelled(signal)
      const scanned = scanBelow(rootFd, next)
      blocks += scanned.blocks
      waiting.push(...scanned.directories)
      entries += scanned.directories.length + 1
      if (entries > entriesBetweenPauses) {
        entries = 0
        await setImmediate()
      }
    }
    return blocks * blockBytes
  } finally {
    closeSync(rootFd)
  }
}

const blockBytes = 512

function scanBelow(rootFd: number, directory: string): { blocks: number; directories: string[] } {
  const directories: string[] = []
  let blocks = 0
  let fd: number
  try {
    fd = native().openInRoot(
      rootFd,
      directory,
      oPath | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    )
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'))
      return { blocks, directories }
    throw error
  }
  try {
    const { names, stats } = native().scanDirectory(fd)
    for (const [index, name] of names.entries()) {
      const field = (at: number): number => stats[index * scanWidth + at] ?? 0
      blocks += field(scanFields.blocks)
      if ((field(scanFields.mode) & constants.S_IFMT) === constants.S_IFDIR)
        directories.push(`${directory}/${name}`)
    }
  } finally {
    closeSync(fd)
  }
  return { blocks, directories }
}

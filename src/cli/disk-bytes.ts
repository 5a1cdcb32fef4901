// How much room directories take.

import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { hasErrno } from '../core/errors.ts'

/** Bytes that a file or directory takes on the disk with everything below it, each inode once; 0 for what may not be read. */
export function diskBytes(file: string): number {
  const seen = new Set<number>()
  let bytes = 0
  const waiting = [file]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const stats = lstatSync(next, { throwIfNoEntry: false })
    if (stats === undefined || seen.has(stats.ino)) continue
    seen.add(stats.ino)
    bytes += stats.blocks * 512
    if (stats.isDirectory()) for (const name of entriesOf(next)) waiting.push(path.join(next, name))
  }
  return bytes
}

/** Names in a directory; none where it is gone or closed to this user. */
export function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM')) return []
    throw error
  }
}

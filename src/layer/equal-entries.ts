// Are two entries of trees the same in all that a layer can say? Content counts, whatever sizes and times tell: they can be set.

import { closeSync, constants, readSync } from 'node:fs'
import { native } from '../native/native.ts'
import type { WalkedStat } from './merged-directory.ts'
import { noXattrs } from './tar-entry.ts'
import { isDirectory, statRoot } from './tree-walk.ts'
import { imageXattrs, readRootXattrs, readXattrs } from './tree-xattrs.ts'

/** An entry by the directory that holds it. */
export interface PlacedStat {
  readonly directoryFd: number
  readonly name: string
  readonly stat: WalkedStat
}

const { O_RDONLY, O_NONBLOCK } = constants

/** True where nothing tells two entries apart but their names; the time of a directory says only that something happened in it. */
export function isEqualEntry(entry: PlacedStat, old: PlacedStat, ignoresTimes: boolean): boolean {
  const { stat, directoryFd, name } = entry
  const before = old.stat
  if (stat.mode !== before.mode || stat.uid !== before.uid || stat.gid !== before.gid) return false
  if (!hasEqualXattrs(entry, old)) return false
  if (isDirectory(stat.mode)) return true
  if (!ignoresTimes && !hasEqualTime(stat, before)) return false
  switch (stat.mode & constants.S_IFMT) {
    case constants.S_IFREG:
      return stat.size === before.size && hasEqualContent(entry, old)
    case constants.S_IFLNK:
      return (
        native().readLinkAt(directoryFd, name) === native().readLinkAt(old.directoryFd, old.name)
      )
    default:
      return stat.deviceMajor === before.deviceMajor && stat.deviceMinor === before.deviceMinor
  }
}

/** To the nanosecond: whether a file that is written again with the same bytes counts must not hang on the second. */
function hasEqualTime(a: WalkedStat, b: WalkedStat): boolean {
  return a.mtimeSeconds === b.mtimeSeconds && a.mtimeNanoseconds === b.mtimeNanoseconds
}

function hasEqualXattrs(one: PlacedStat, other: PlacedStat): boolean {
  const [a, b] = [one, other].map(({ stat, directoryFd, name }) =>
    stat.hasXattrs ? imageXattrs(readXattrs(directoryFd, name)) : noXattrs,
  )
  return areEqual(a ?? noXattrs, b ?? noXattrs)
}

function areEqual(a: ReadonlyMap<string, Buffer>, b: ReadonlyMap<string, Buffer>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name)?.equals(value) === true)
}

/** True where two root directories look alike, but for their times. */
export function hasEqualRoot(one: string, other: string): boolean {
  const [a, b] = [statRoot(one), statRoot(other)]
  if (a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false
  return areEqual(imageXattrs(readRootXattrs(one)), imageXattrs(readRootXattrs(other)))
}

const compareBytes = 256 * 1024

function hasEqualContent(one: PlacedStat, other: PlacedStat): boolean {
  const fds: number[] = []
  try {
    for (const { directoryFd, name } of [one, other])
      fds.push(native().openAt(directoryFd, name, O_RDONLY | O_NONBLOCK))
    const [a = -1, b = -1] = fds
    const buffers = [Buffer.allocUnsafe(compareBytes), Buffer.allocUnsafe(compareBytes)] as const
    for (;;) {
      const got = readSync(a, buffers[0], 0, compareBytes, null)
      const gotBelow = readFully(b, buffers[1].subarray(0, got))
      if (got !== gotBelow) return false
      if (got === 0) return readSync(b, buffers[1], 0, 1, null) === 0
      if (!buffers[0].subarray(0, got).equals(buffers[1].subarray(0, got))) return false
    }
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}

/** Bytes read until the buffer is full or the file ends. */
function readFully(fd: number, buffer: Buffer): number {
  let done = 0
  while (done < buffer.length) {
    const got = readSync(fd, buffer, done, buffer.length - done, null)
    if (got === 0) break
    done += got
  }
  return done
}

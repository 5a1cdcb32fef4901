// What a name in a source is, as lstat(2) said it: the vocabulary of everything that reads contexts and stages.

import { constants } from 'node:fs'
import { type DirectoryScan, type Stat, scanFields, scanWidth } from '../native/native.ts'

/** Sockets are left out: nothing can be read from them. */
export type SourceType = 'file' | 'directory' | 'link' | 'character' | 'block' | 'fifo'

/** One name in a directory. */
export interface SourceEntry {
  readonly name: string
  readonly type: SourceType
  /** Permission bits with set-user-ID, set-group-ID and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  /** When the inode changed last, which nobody can set. */
  readonly ctimeSeconds: number
  readonly ctimeNanoseconds: number
  /** Names that the file has. */
  readonly links: number
  readonly inodeHigh: number
  readonly inodeLow: number
  /** The file system that it is on. */
  readonly dev: number
  readonly deviceMajor: number
  readonly deviceMinor: number
}

/** Permission bits with set-user-ID, set-group-ID and sticky. */
export const permissionBits = 0o7777

const types: Readonly<Record<number, SourceType>> = {
  [constants.S_IFREG]: 'file',
  [constants.S_IFDIR]: 'directory',
  [constants.S_IFLNK]: 'link',
  [constants.S_IFCHR]: 'character',
  [constants.S_IFBLK]: 'block',
  [constants.S_IFIFO]: 'fifo',
}

/** The entries of a scanned directory, names sorted by their bytes; sockets are left out. */
export function entriesOf(scan: DirectoryScan): SourceEntry[] {
  const entries: SourceEntry[] = []
  for (let index = 0; index < scan.names.length; index++) {
    const entry = entryAt(scan, index)
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

function entryAt({ names, stats }: DirectoryScan, index: number): SourceEntry | undefined {
  const at = index * scanWidth
  const mode = numberAt(stats, at + scanFields.mode)
  const type = types[mode & constants.S_IFMT]
  if (type === undefined) return undefined
  return {
    name: names[index] ?? '',
    type,
    mode: mode & permissionBits,
    uid: numberAt(stats, at + scanFields.uid),
    gid: numberAt(stats, at + scanFields.gid),
    sizeBytes: numberAt(stats, at + scanFields.size),
    mtimeSeconds: numberAt(stats, at + scanFields.mtimeSeconds),
    mtimeNanoseconds: numberAt(stats, at + scanFields.mtimeNanoseconds),
    ctimeSeconds: numberAt(stats, at + scanFields.ctimeSeconds),
    ctimeNanoseconds: numberAt(stats, at + scanFields.ctimeNanoseconds),
    links: numberAt(stats, at + scanFields.nlink),
    inodeHigh: numberAt(stats, at + scanFields.inodeHigh),
    inodeLow: numberAt(stats, at + scanFields.inodeLow),
    dev: numberAt(stats, at + scanFields.dev),
    deviceMajor: numberAt(stats, at + scanFields.deviceMajor),
    deviceMinor: numberAt(stats, at + scanFields.deviceMinor),
  }
}

/** What is left of a scan. */
export function filterScan(
  scan: DirectoryScan,
  isTaken: (entry: SourceEntry) => boolean,
): DirectoryScan {
  const indexes = [...scan.names.keys()].filter(index => {
    const entry = entryAt(scan, index)
    return entry !== undefined && isTaken(entry)
  })
  const stats = new Float64Array(indexes.length * scanWidth)
  for (const [to, from] of indexes.entries())
    stats.set(scan.stats.subarray(from * scanWidth, (from + 1) * scanWidth), to * scanWidth)
  return { names: indexes.map(index => scan.names[index] ?? ''), stats }
}

function numberAt(stats: Float64Array, index: number): number {
  return stats[index] ?? 0
}

/** One name by its own lstat; undefined for a socket. */
export function entryOf(name: string, stat: Stat): SourceEntry | undefined {
  const type = types[stat.mode & constants.S_IFMT]
  if (type === undefined) return undefined
  const { uid, gid, mtimeSeconds, mtimeNanoseconds, ctimeSeconds, ctimeNanoseconds, dev } = stat
  return {
    name,
    type,
    mode: stat.mode & permissionBits,
    uid,
    gid,
    sizeBytes: stat.size,
    mtimeSeconds,
    mtimeNanoseconds,
    ctimeSeconds,
    ctimeNanoseconds,
    links: stat.nlink,
    inodeHigh: stat.inodeHigh,
    inodeLow: stat.inodeLow,
    dev,
    deviceMajor: majorOf(stat.rdev),
    deviceMinor: minorOf(stat.rdev),
  }
}

/** As gnu_dev_major(3) and gnu_dev_minor(3) take a device number apart. */
function majorOf(device: number): number {
  return Number(((BigInt(device) >> 8n) & 0xfffn) | ((BigInt(device) >> 32n) & 0xfffff000n))
}

function minorOf(device: number): number {
  return Number((BigInt(device) & 0xffn) | ((BigInt(device) >> 12n) & 0xffffff00n))
}

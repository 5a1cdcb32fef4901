// One directory, or several that are seen as one: overlay upper directories of the same path, topmost first.

import { closeSync } from 'node:fs'
import { type DirectoryScan, native, scanFields, scanWidth } from '../native/native.ts'
import { compareNames } from './name-bytes.ts'

/** A directory that is open, with what was in it when it was opened. */
export interface OpenPart {
  readonly fd: number
  readonly scan: DirectoryScan
}

/** A name in one of the directories. */
export interface NamedPart {
  readonly name: string
  readonly part: OpenPart
  readonly index: number
}

/** What lstat says of an entry. */
export interface WalkedStat {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** Rounded down. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  readonly nlink: number
  readonly deviceMajor: number
  readonly deviceMinor: number
  /** 512-byte blocks in use. */
  readonly blocks: number
  readonly hasXattrs: boolean
  /** Equal for hard links to one file; empty where there is only one. */
  readonly identity: string
}

/** Scans a directory; takes the descriptor, also where it throws. */
export function openPart(fd: number): OpenPart {
  try {
    return { fd, scan: native().scanDirectory(fd) }
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Closes the descriptors of openPart. */
export function closeParts(parts: readonly OpenPart[]): void {
  for (const { fd } of parts) closeSync(fd)
}

/** Each name once, in the order of bytes, with the directories that have it, topmost first. */
export function* mergeNames(parts: readonly OpenPart[]): Generator<readonly NamedPart[], void> {
  const [only, ...others] = parts
  if (only === undefined) return
  if (others.length === 0) {
    for (const [index, name] of only.scan.names.entries()) yield [{ name, part: only, index }]
    return
  }
  const byName = new Map<string, NamedPart[]>()
  for (const part of parts)
    for (const [index, name] of part.scan.names.entries()) {
      const named = byName.get(name)
      if (named === undefined) byName.set(name, [{ name, part, index }])
      else named.push({ name, part, index })
    }
  yield* [...byName].toSorted(([a], [b]) => compareNames(a, b)).map(([, named]) => named)
}

/** One number that the scan of its directory has of a name. */
export function numberOf({ part, index }: NamedPart, field: keyof typeof scanFields): number {
  return part.scan.stats[index * scanWidth + scanFields[field]] ?? 0
}

/** What the scan of its directory says of a name. */
export function statOf({ part, index }: NamedPart): WalkedStat {
  const { stats } = part.scan
  const start = index * scanWidth
  const field = (number: number): number => stats[start + number] ?? 0
  return {
    mode: field(scanFields.mode),
    uid: field(scanFields.uid),
    gid: field(scanFields.gid),
    size: field(scanFields.size),
    mtimeSeconds: field(scanFields.mtimeSeconds),
    mtimeNanoseconds: field(scanFields.mtimeNanoseconds),
    nlink: field(scanFields.nlink),
    deviceMajor: field(scanFields.deviceMajor),
    deviceMinor: field(scanFields.deviceMinor),
    blocks: field(scanFields.blocks),
    hasXattrs: field(scanFields.hasXattrs) === 1,
    identity:
      field(scanFields.nlink) > 1
        ? `${field(scanFields.dev)}:${field(scanFields.inodeHigh)}:${field(scanFields.inodeLow)}`
        : '',
  }
}

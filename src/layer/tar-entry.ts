// One entry of a tar archive as kauri sees it, whatever format it came in (POSIX.1-2017 pax(1) "ustar" and "pax", GNU tar
// 1.34 manual, "Basic Tar Format").

import { KauriError } from '../core/errors.ts'

/** `link` is a hard link. */
export type TarEntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'link'
  | 'character'
  | 'block'
  | 'fifo'

/** An entry, its names cleaned by tar-path.ts. */
export interface TarEntry {
  /** Below the root of the archive, without `.`, `..`, or slashes at its ends; `.` is the root itself. */
  readonly path: string
  readonly type: TarEntryType
  /** Permission, set-id and sticky bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of a file, holes counted; 0 for all other types. */
  readonly size: number
  /** Seconds since 1970, rounded down; may be negative. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  /** What a symbolic link holds, unchanged; of a hard link the path as `path` has it; empty otherwise. */
  readonly linkTarget: string
  readonly deviceMajor: number
  readonly deviceMinor: number
  readonly xattrs: ReadonlyMap<string, Buffer>
}

/** For the many entries that have none. */
export const noXattrs: ReadonlyMap<string, Buffer> = new Map()

/** The letter of each type in a header. */
export const typeFlags: Readonly<Record<TarEntryType, string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

/** Where in which archive something is wrong. */
export interface TarPosition {
  /** What messages call the archive. */
  readonly archive: string
  /** Bytes before the header or data at fault, uncompressed. */
  readonly offset: number
  readonly entry?: string | undefined
}

/** ARCHIVE_INVALID with the place. */
export function tarInvalid(
  what: string,
  { archive, offset, entry }: TarPosition,
  hint?: string,
): KauriError {
  const where = entry === undefined ? '' : `, entry ${JSON.stringify(entry.slice(0, 300))}`
  return new KauriError('ARCHIVE_INVALID', `${archive}: ${what} (at byte ${offset}${where})`, {
    hint,
  })
}

// What unpacking an archive onto a tree may be told, and what it tells back.

import type { Emit } from '../core/events.ts'
import type { ArchiveLimits } from './layer.ts'
import type { TarEntry } from './tar-entry.ts'

/** How an archive goes onto a tree. */
export interface ApplyOptions {
  /** What messages call the archive; by default `the archive`. */
  readonly name?: string
  /**
   * What `.wh.` names mean. `ordinary`: nothing, as for tar(1). `delete`: the tree is whole, and they remove what was there
   * before this archive. `overlay`: the tree is a fresh upper directory of an overlay, and they become its marks.
   */
  readonly whiteouts: 'ordinary' | 'delete' | 'overlay'
  /** `root` makes everything root's, numbers everything that user's and group's. Without root rights nobody's owner is changed. */
  readonly ownership: 'archive' | 'root' | { readonly uid: number; readonly gid: number }
  /**
   * `of-owner` takes the set-user-ID bit from files that get another owner than the archive says, and the set-group-ID bit
   * from those that get another group: nobody's program becomes one that runs as somebody else. By default bits are kept.
   */
  readonly setIdBits?: 'keep' | 'of-owner'
  /**
   * What a directory of the archive does where a directory, or a link to one, is already. `replace`, as for layers: a link
   * makes way, a directory gets the entry's owner, mode and times. `follow`: the same, but links stay. `keep`, as dpkg
   * does: nothing changes.
   */
  readonly directories?: 'replace' | 'follow' | 'keep'
  /** The directory inside the tree that the archive's root becomes; made where it is missing. */
  readonly target?: string
  /** Root descriptor of the tree that an overlay stands on: directories that the layer does not list look as they do there. */
  readonly below?: number
  readonly limits?: ArchiveLimits
  readonly signal?: AbortSignal | undefined
  /** Receives warnings: extended attributes that this file system cannot hold. */
  readonly emit?: Emit
  /** The path to write instead, or undefined to leave the entry out. Hard links find what was renamed. */
  readonly rename?: (entry: TarEntry) => string | undefined
  /** Called when the entry is on the tree, but for the owner, mode and times of directories, which come last. */
  readonly onEntry?: (entry: TarEntry, path: string) => void
}

/** What an archive held; entries that were left out do not count. */
export interface AppliedTar {
  readonly entries: number
  /** Bytes of files, holes counted. */
  readonly bytes: number
  /** Newest time of an entry, seconds since 1970; 0 without entries. */
  readonly newestMtimeSeconds: number
}

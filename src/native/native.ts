// System calls that Node lacks, each a thin typed wrapper over one function of the addon (native/addon.c). Calls are
// synchronous and throw Node-like errors (`code` ENOENT …, `errno`, `syscall`, `path`). Descriptors are plain numbers
// and close-on-exec; who opens closes with fs.closeSync.

import { loadAddon } from './load-addon.ts'

/** What one overlay mount is made of; topmost lower first. */
export interface OverlayLayers {
  readonly lower: readonly string[]
  readonly upper?: string
  readonly work?: string
  /** `volatile` leaves out every fsync (kernel 5.10). */
  readonly options?: readonly string[]
}

export interface Stat {
  readonly dev: number
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
  readonly size: number
  /** Whole seconds since 1970, may be negative. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  /** 512-byte blocks in use; fewer than the size means a sparse file. */
  readonly blocks: number
}

export interface NativeCalls {
  /** mknod(2); `mode` with the type bits. */
  mknod(path: string, mode: number, major: number, minor: number): void
  /** lchown is in fs; this is utimensat(AT_SYMLINK_NOFOLLOW) with nanoseconds. */
  setTimes(path: string, seconds: number, nanoseconds: number): void
  /** Names of the extended attributes of the file itself, not of what a link points to; [] where there are none or no support. */
  listXattrs(path: string): string[]
  getXattr(path: string, name: string): Buffer
  setXattr(path: string, name: string, value: Uint8Array): void
  removeXattr(path: string, name: string): void
  /** lstat without Stats objects; about three times as fast, and exact in nanoseconds. */
  statFile(path: string): Stat
  /**
   * openat2(2) with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS below a directory descriptor: links and `..` cannot leave it.
   * `flags` are open(2) flags; O_CLOEXEC is added.
   */
  openInRoot(rootFd: number, path: string, flags: number, mode?: number): number
  /** Data extents of a regular file by SEEK_DATA and SEEK_HOLE: pairs of offset and length. */
  dataExtents(fd: number): number[]
  /** flock(2) without waiting; false when somebody else holds it. The kernel releases it with the descriptor. */
  tryLock(fd: number, mode: 'shared' | 'exclusive'): boolean
  /** syncfs(2). */
  syncFileSystem(fd: number): void
  /** A detached overlay mount (fsopen, fsconfig, fsmount): no mount table shows it, and it dies with its last descriptor. */
  mountOverlayDetached(layers: OverlayLayers): number
  /** A detached clone of a directory's mount (open_tree, OPEN_TREE_CLONE), for trees that are plain directories. */
  cloneTreeDetached(path: string): number
  /** ioctl FICLONE: true when dest now shares src's blocks, false where the file system cannot. */
  cloneFile(sourceFd: number, targetFd: number): boolean
}

let loaded: NativeCalls | undefined

/** The system calls; loads, and at first use compiles, the addon. @throws PREREQUISITE_MISSING with the apt line where no compiler is there */
export function native(): NativeCalls {
  loaded ??= loadAddon()
  return loaded
}

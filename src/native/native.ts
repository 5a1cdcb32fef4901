// System calls that Node lacks, each a thin typed wrapper over one function of the addon (native/addon*.c). Calls are
// synchronous and throw Node-like errors (`code` ENOENT …, `errno`, `syscall`, `path`). Descriptors are plain numbers
// and close-on-exec; who opens closes with fs.closeSync.
//
// File names are bytes to the kernel. They cross as strings without loss: a byte outside of valid UTF-8 is the lone
// surrogate U+DC00 + byte, which Node's own fs calls do not understand, so give such names back to these calls only.

import { loadAddon } from './load-addon.ts'

/** What one overlay mount is made of; topmost lower first. */
export interface OverlayLayers {
  readonly lower: readonly string[]
  readonly upper?: string
  readonly work?: string
  /** `key` or `key=value`, as mount(8) has them; `volatile` leaves out every fsync (kernel 5.10). */
  readonly options?: readonly string[]
}

/** What lstat(2) says. */
export interface Stat {
  readonly dev: number
  /** Exact below 2^53; overlayfs with `xino` goes beyond. */
  readonly ino: number
  /** Its 32 bits above and below, always exact. */
  readonly inodeHigh: number
  readonly inodeLow: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
  readonly size: number
  /** Whole seconds since 1970, may be negative. */
  readonly mtimeSeconds: number
  readonly mtimeNanoseconds: number
  readonly ctimeSeconds: number
  readonly ctimeNanoseconds: number
  /** 512-byte blocks in use; fewer than the size means a sparse file. */
  readonly blocks: number
}

/** Where scanDirectory puts each number of an entry; the entry at `i` starts at `i * scanWidth`. */
export const scanFields = {
  mode: 0,
  uid: 1,
  gid: 2,
  size: 3,
  mtimeSeconds: 4,
  mtimeNanoseconds: 5,
  nlink: 6,
  inodeHigh: 7,
  inodeLow: 8,
  dev: 9,
  deviceMajor: 10,
  deviceMinor: 11,
  blocks: 12,
  /** 1 where the entry has extended attributes that the caller may list. */
  hasXattrs: 13,
  ctimeSeconds: 14,
  ctimeNanoseconds: 15,
} as const

/** Numbers that scanDirectory gives for each entry. */
export const scanWidth = 16

/** A directory as it was: names sorted by their bytes, without `.` and `..`. */
export interface DirectoryScan {
  readonly names: string[]
  readonly stats: Float64Array
}

/** Calls on paths that the host resolves, and on descriptors. */
interface PathCalls {
  /** mknod(2); `mode` with the type bits. */
  mknod(path: string, mode: number, major: number, minor: number): void
  /** lchown is in fs; this is utimensat(AT_SYMLINK_NOFOLLOW) with nanoseconds. */
  setTimes(path: string, seconds: number, nanoseconds: number): void
  /** Names of the extended attributes of the file itself, not of what a link points to; [] where there are none or no support. */
  listXattrs(path: string): string[]
  getXattr(path: string, name: string): Buffer
  setXattr(path: string, name: string, value: Uint8Array): void
  removeXattr(path: string, name: string): void
  /** lstat without Stats objects, and exact in nanoseconds. */
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
  /** ioctl FICLONE: true when dest now shares src's blocks, false where the file system cannot. */
  cloneFile(sourceFd: number, targetFd: number): boolean
  /** pthread_sigmask(3) for this thread: a signal that waited comes now. */
  unblockSignal(signal: number): void
  /**
   * What a written file ends with: fchown (-1 leaves owner or group), fchmod after it, since a change of owner clears the
   * set-id bits, and both times.
   */
  finishFile(
    fd: number,
    uid: number,
    gid: number,
    mode: number,
    seconds: number,
    nanoseconds: number,
  ): void
}

/**
 * Calls on one name in a directory held by descriptor (O_PATH will do, from openInRoot). A name with a slash, and `.`,
 * `..` and the empty one, are EINVAL, and no link is followed: what these calls touch is in that directory.
 */
interface DirectoryCalls {
  /** openat(2); O_NOFOLLOW and O_CLOEXEC are added, so a link is ELOOP. */
  openAt(directoryFd: number, name: string, flags: number, mode?: number): number
  /** undefined where there is no such name. */
  statAt(directoryFd: number, name: string): Stat | undefined
  /**
   * The whole directory in one call, at about a third of the cost of a call for each entry. `asksXattrs` false leaves
   * `hasXattrs` 0 and saves a third of that.
   */
  scanDirectory(directoryFd: number, asksXattrs?: boolean): DirectoryScan
  makeDirectoryAt(directoryFd: number, name: string, mode: number): void
  makeNodeAt(directoryFd: number, name: string, mode: number, major: number, minor: number): void
  makeSymlinkAt(target: string, directoryFd: number, name: string): void
  readLinkAt(directoryFd: number, name: string): string
  /** A hard link; of a symbolic link it is one to the link itself. */
  makeLinkAt(oldDirectoryFd: number, oldName: string, directoryFd: number, name: string): void
  renameAt(oldDirectoryFd: number, oldName: string, directoryFd: number, name: string): void
  /** Removes anything but a directory. */
  unlinkAt(directoryFd: number, name: string): void
  /** Removes what the name is, a directory with all below it, of any depth; nothing there is fine. */
  removeTreeAt(directoryFd: number, name: string): void
  setOwnerAt(directoryFd: number, name: string, uid: number, gid: number): void
  /** EOPNOTSUPP for a link. */
  setModeAt(directoryFd: number, name: string, mode: number): void
  setTimesAt(directoryFd: number, name: string, seconds: number, nanoseconds: number): void
  listXattrsAt(directoryFd: number, name: string): string[]
  getXattrAt(directoryFd: number, name: string, xattr: string): Buffer
  setXattrAt(directoryFd: number, name: string, xattr: string, value: Uint8Array): void
  removeXattrAt(directoryFd: number, name: string, xattr: string): void
}

/** Where copyFileAt finds its numbers. */
export const copyFields = {
  /** 1: the file must be the one that the numbers before the owner say, before and after it is copied. */
  isChecked: 0,
  size: 1,
  /** The copy gets these, also where nothing is checked. */
  mtimeSeconds: 2,
  mtimeNanoseconds: 3,
  ctimeSeconds: 4,
  ctimeNanoseconds: 5,
  inodeHigh: 6,
  inodeLow: 7,
  /** Of the copy, as are group and mode. */
  uid: 8,
  gid: 9,
  mode: 10,
} as const

/** Numbers that copyFileAt takes. */
export const copyWidth = 11

/** Calls that do all that a regular file needs, links never followed. EINVAL for what is no regular file. */
interface FileCalls {
  /**
   * Copies a file to a name that nothing has yet; shares its blocks where the file system can. False where it is not the
   * expected one, or changed meanwhile; there may be a copy then. EEXIST where the name is taken.
   */
  copyFileAt(
    directoryFd: number,
    name: string,
    intoDirectoryFd: number,
    newName: string,
    numbers: Float64Array,
  ): boolean
  /** Reads a file into a buffer; the number of bytes, one more than the buffer has room for where the file is larger. */
  readFileAt(directoryFd: number, name: string, buffer: Uint8Array): number
}

/** Subvolumes of btrfs, by name in a directory held by descriptor; ENOTTY on other file systems. */
interface SubvolumeCalls {
  createSubvolumeAt(directoryFd: number, name: string): void
  /** A writable snapshot of the subvolume whose root `sourceFd` is. */
  snapshotSubvolumeAt(sourceFd: number, directoryFd: number, name: string): void
  /** Removes a subvolume with all that is in it; ENOTEMPTY where another one is in it. */
  deleteSubvolumeAt(directoryFd: number, name: string): void
}

/** Mounts that only a descriptor reaches: `/proc/self/fd/N` is the tree's root. Devices and set-id bits in them do nothing. */
interface MountCalls {
  /**
   * A detached overlay mount (fsopen, fsconfig, fsmount): no mount table shows it, and it dies with its last descriptor.
   * Kernels before 6.7 take more than 60 lower directories only by mount(2) in a namespace; `asOldKernels` does it so on all.
   */
  mountOverlayDetached(layers: OverlayLayers, asOldKernels?: boolean): number
  /** A detached clone of a directory's mount (open_tree, OPEN_TREE_CLONE), for trees that are plain directories. */
  cloneTreeDetached(path: string, mode?: 'read-only' | 'read-write'): number
}

/** The kernel's network tables. */
interface NetworkCalls {
  /**
   * Sends messages (linux/netlink.h) to the kernel in this process's network namespace and returns all its answers, one
   * behind the other, each at a multiple of four bytes. `protocol` is a NETLINK_ number.
   */
  netlinkExchange(protocol: number, request: Uint8Array): Buffer
  /** Locks one byte of a file open for writing, without waiting; false when another open file holds it. The kernel releases it with the descriptor. */
  tryLockByte(fd: number, offset: number): boolean
}

/** A SHA-256 under way; goes with its last reference. */
export interface Sha256 {
  readonly __handle: 'Sha256'
}

/** Bytes hashed and written by the thread pool, in one job. */
interface DigestCalls {
  openSha256(): Sha256
  /**
   * Hashes bytes and writes them at a position where `fd` is not -1; the disk begins with it at once. The bytes must not
   * change before it is done. EBUSY where the state is used by an earlier call, or has ended.
   */
  absorb(state: Sha256, bytes: Uint8Array, fd: number, position: number): Promise<void>
  /** Ends it: 64 hexadecimal digits. */
  sha256Hex(state: Sha256): string
}

/** Everything that the addon does. */
export interface NativeCalls
  extends PathCalls,
    DirectoryCalls,
    FileCalls,
    DigestCalls,
    SubvolumeCalls,
    MountCalls,
    NetworkCalls {}

let loaded: NativeCalls | undefined

/** The system calls; loads, and at first use compiles, the addon. @throws PREREQUISITE_MISSING with the apt line where no compiler is there */
export function native(): NativeCalls {
  loaded ??= loadAddon()
  return loaded
}

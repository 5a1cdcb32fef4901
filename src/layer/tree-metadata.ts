// Owner, mode, times and extended attributes of what an archive puts onto a tree. The order is: owner, then extended
// attributes, then mode, then times, because a change of owner clears file capabilities and set-id bits.

import process from 'node:process'
import { hasErrno } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { ApplyOptions } from './apply-options.ts'
import type { TarEntry } from './tar-entry.ts'
import { statRoot } from './tree-walk.ts'
import { isImageXattr, readRootXattrs } from './tree-xattrs.ts'

/** The part of an entry that says how it looks, not what it is. */
export type Metadata = Pick<
  TarEntry,
  'mode' | 'uid' | 'gid' | 'mtimeSeconds' | 'mtimeNanoseconds' | 'xattrs'
>

/** A name in an open directory. */
export interface NamePlace {
  readonly directoryFd: number
  readonly name: string
}

/** Says how what an archive put onto a tree looks. */
export interface TreeMetadata {
  /** Of a regular file that is open for writing. */
  finishFile(fd: number, place: NamePlace, metadata: Metadata): void
  /** Of a device or fifo. */
  finishNode(place: NamePlace, metadata: Metadata): void
  /** Of a symbolic link, which has no mode. */
  finishSymlink(place: NamePlace, metadata: Metadata): void
  /** Of a directory that is open for reading. */
  finishDirectory(fd: number, metadata: Metadata): void
}

interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Leaves owner and group. */
const sameOwner: Owner = { uid: -1, gid: -1 }

/** For one archive; the owner is changed only by root. */
export function createTreeMetadata(options: ApplyOptions): TreeMetadata {
  const calls = native()
  const setXattrs = createXattrSetter(options)
  const mayChangeOwner = isRoot()

  const ownerOf = ({ uid, gid }: Metadata): Owner => {
    if (!mayChangeOwner) return sameOwner
    if (options.ownership === 'archive') return { uid, gid }
    return options.ownership === 'root' ? { uid: 0, gid: 0 } : options.ownership
  }

  const modeOf = (metadata: Metadata): number => {
    if (options.setIdBits !== 'of-owner') return metadata.mode
    const { uid, gid } = ownerOf(metadata)
    const foreign = (uid === metadata.uid ? 0 : 0o4000) | (gid === metadata.gid ? 0 : 0o2000)
    return metadata.mode & ~foreign
  }

  const setOwnerAndXattrs = ({ directoryFd, name }: NamePlace, metadata: Metadata): void => {
    const { uid, gid } = ownerOf(metadata)
    if (uid >= 0) calls.setOwnerAt(directoryFd, name, uid, gid)
    setXattrs(metadata, (xattr, value) => calls.setXattrAt(directoryFd, name, xattr, value))
  }

  const setTimes = ({ directoryFd, name }: NamePlace, metadata: Metadata): void =>
    calls.setTimesAt(directoryFd, name, metadata.mtimeSeconds, metadata.mtimeNanoseconds)

  const finishOpen = (fd: number, { uid, gid }: Owner, metadata: Metadata, mode: number): void => {
    const { mtimeSeconds, mtimeNanoseconds } = metadata
    calls.finishFile(fd, uid, gid, mode, mtimeSeconds, mtimeNanoseconds)
  }

  return {
    finishFile: (fd, place, metadata) => {
      const hasXattrs = metadata.xattrs.size > 0
      if (hasXattrs) setOwnerAndXattrs(place, metadata)
      finishOpen(fd, hasXattrs ? sameOwner : ownerOf(metadata), metadata, modeOf(metadata))
    },
    finishNode: (place, metadata) => {
      setOwnerAndXattrs(place, metadata)
      calls.setModeAt(place.directoryFd, place.name, metadata.mode)
      setTimes(place, metadata)
    },
    finishSymlink: (place, metadata) => {
      setOwnerAndXattrs(place, metadata)
      setTimes(place, metadata)
    },
    finishDirectory: (fd, metadata) => {
      // A layer says all of a directory: what it had before and the layer does not name is gone.
      if (options.whiteouts !== 'ordinary') removeOtherXattrs(fd, metadata)
      setXattrs(metadata, (xattr, value) => calls.setXattr(`/proc/self/fd/${fd}/.`, xattr, value))
      finishOpen(fd, ownerOf(metadata), metadata, metadata.mode)
    },
  }
}

function removeOtherXattrs(fd: number, { xattrs }: Metadata): void {
  const directory = `/proc/self/fd/${fd}/.`
  for (const xattr of native().listXattrs(directory))
    if (isImageXattr(xattr) && !xattrs.has(xattr)) native().removeXattr(directory, xattr)
}

type SetXattrs = (metadata: Metadata, set: (xattr: string, value: Uint8Array) => void) => void

/** Sets what the file system, and without root rights the kernel, lets be set; the first one left out is told of. */
function createXattrSetter({ name: archive = 'the archive', emit }: ApplyOptions): SetXattrs {
  const tolerated = isRoot() ? ['EOPNOTSUPP'] : ['EOPNOTSUPP', 'EPERM', 'EACCES']
  let hasWarned = false
  return ({ xattrs }, set) => {
    for (const [xattr, value] of xattrs) {
      if (!isImageXattr(xattr)) continue
      try {
        set(xattr, value)
      } catch (error) {
        if (!hasErrno(error, ...tolerated)) throw error
        const message = `${archive}: extended attributes such as ${xattr} cannot be kept here`
        if (!hasWarned) emit?.({ kind: 'warning', message })
        hasWarned = true
      }
    }
  }
}

function isRoot(): boolean {
  return process.geteuid?.() === 0
}

/** How an existing directory looks, for one that stands in for it. */
export function readMetadata(directoryFd: number): Metadata {
  const { mode, uid, gid, mtimeSeconds, mtimeNanoseconds } = statRoot(
    `/proc/self/fd/${directoryFd}`,
  )
  return {
    mode: mode & 0o7777,
    uid,
    gid,
    mtimeSeconds,
    mtimeNanoseconds,
    xattrs: readRootXattrs(`/proc/self/fd/${directoryFd}`),
  }
}

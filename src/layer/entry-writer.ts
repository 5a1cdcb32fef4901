// Puts the entries of an archive onto a tree. The directory of each entry is a descriptor inside the root, its name has no
// slash and is never followed, so that nothing else is written whatever links the archive made before (CVE-2018-15664,
// CVE-2021-29136 and their kind). Owner, mode and times of directories come last, when nothing changes in them any more.

import { closeSync, constants, ftruncateSync, writeSync } from 'node:fs'
import process from 'node:process'
import { hasErrno } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { ApplyOptions } from './apply-options.ts'
import { OpenDirectories, TreeError } from './open-directories.ts'
import { noXattrs, type TarEntry } from './tar-entry.ts'
import { nameOf, parentOf, rootPath } from './tar-path.ts'
import {
  createTreeMetadata,
  type Metadata,
  type NamePlace,
  readMetadata,
  type TreeMetadata,
} from './tree-metadata.ts'

/** A file that data is being written to. */
interface OpenFile extends NamePlace {
  readonly fd: number
  readonly entry: TarEntry
  /** Where the data ends so far. */
  end: number
}

/** Written at once: pieces of 1 MiB cost the kernel a third more than these (13,000 files on ext4, kernel 6.18). */
const writeBytes = 64 * 1024

/** One tree that is being written; disposing it closes what is open. */
export class EntryWriter implements Disposable {
  readonly #options: ApplyOptions
  readonly #metadata: TreeMetadata
  readonly #directories: OpenDirectories
  /** How directories shall look at the end. */
  readonly #pending = new Map<string, Metadata>()
  #file: OpenFile | undefined
  #current: TarEntry | undefined

  constructor(rootFd: number, options: ApplyOptions) {
    this.#options = options
    this.#metadata = createTreeMetadata(options)
    this.#directories = new OpenDirectories(rootFd, path => this.#announceImplicit(path))
  }

  /** Makes what the entry is, a file without its data yet. @throws TreeError and errors of the file system */
  start(path: string, entry: TarEntry): void {
    this.#current = entry
    switch (entry.type) {
      case 'file':
        return this.#startFile(path, entry)
      case 'directory':
        return this.#startDirectory(path, entry)
      case 'symlink':
        return this.#makeSymlink(path, entry)
      case 'link':
        return this.#makeLink(path, entry.linkTarget)
      case 'character':
      case 'block':
      case 'fifo':
        return this.#makeNode(path, entry)
      default:
        return entry.type satisfies never
    }
  }

  /** Writes data of the file that was started last. */
  write(bytes: Buffer, offset: number): void {
    if (this.#file === undefined) return
    for (let done = 0; done < bytes.length; ) {
      const size = Math.min(bytes.length - done, writeBytes)
      done += writeSync(this.#file.fd, bytes, done, size, offset + done)
    }
    this.#file.end = offset + bytes.length
  }

  /** Ends the entry that was started last. */
  finish(): void {
    const file = this.#file
    if (file === undefined) return
    if (file.end < file.entry.size) ftruncateSync(file.fd, file.entry.size)
    this.#metadata.finishFile(file.fd, file, file.entry)
    this.#closeFile()
  }

  /** Gives directories their owner, mode and times; those furthest down first, before one above may lock them away. */
  finishDirectories(): void {
    if (!this.#pending.has(rootPath)) {
      // What was put into a fresh upper directory gave its root a time that no layer tells of.
      const asBelow = this.#metadataBelow(rootPath)
      if (asBelow !== undefined) this.#pending.set(rootPath, asBelow)
    }
    const paths = [...this.#pending.keys()].toSorted((a, b) => b.length - a.length)
    for (const path of paths) {
      const metadata = this.#pending.get(path)
      const fd = this.#directories.findOwn(path)
      if (fd === undefined || metadata === undefined) continue
      try {
        this.#metadata.finishDirectory(fd, metadata)
      } finally {
        closeSync(fd)
      }
    }
  }

  /** A name of the tree in its open directory, which is made where it is missing; valid until the next call. */
  place(path: string): NamePlace {
    if (path === rootPath) throw new TreeError('the root of the tree is and stays a directory')
    return { directoryFd: this.#directories.open(parentOf(path)), name: nameOf(path) }
  }

  /** An open directory of the tree, made where it is missing; valid until the next call. */
  directory(path: string): number {
    return this.#directories.open(path)
  }

  /** A directory of the tree itself, no link, open for reading; the caller closes it. */
  findDirectory(path: string): number | undefined {
    return this.#directories.findOwn(path)
  }

  /** Removes a name with all below it; what was there, or undefined. */
  remove(path: string): 'directory' | 'whiteout' | 'other' | undefined {
    const parentFd = this.#directories.find(parentOf(path))
    if (parentFd === undefined) return undefined
    try {
      const existing = native().statAt(parentFd, nameOf(path))
      if (existing === undefined) return undefined
      native().removeTreeAt(parentFd, nameOf(path))
      const type = existing.mode & constants.S_IFMT
      // What was opened through it is not where its path leads any more.
      if (type === constants.S_IFDIR || type === constants.S_IFLNK) this.#directories.forget()
      if (type === constants.S_IFDIR) this.#dropPending(path)
      if (type === constants.S_IFDIR) return 'directory'
      return type === constants.S_IFCHR && existing.rdev === 0 ? 'whiteout' : 'other'
    } finally {
      closeSync(parentFd)
    }
  }

  [Symbol.dispose](): void {
    this.#closeFile()
    this.#directories[Symbol.dispose]()
  }

  #startFile(path: string, entry: TarEntry): void {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL
    this.#makeNew(path, place => {
      const fd = native().openAt(place.directoryFd, place.name, flags, 0o600)
      this.#file = { ...place, fd, entry, end: 0 }
      this.#dropInherited(place)
    })
  }

  #makeSymlink(path: string, entry: TarEntry): void {
    this.#makeNew(path, place => {
      native().makeSymlinkAt(entry.linkTarget, place.directoryFd, place.name)
      this.#metadata.finishSymlink(place, entry)
    })
  }

  #makeNode(path: string, entry: TarEntry): void {
    const { type, deviceMajor, deviceMinor } = entry
    const format =
      type === 'fifo' ? constants.S_IFIFO : type === 'block' ? constants.S_IFBLK : constants.S_IFCHR
    if (format === constants.S_IFCHR && deviceMajor === 0 && deviceMinor === 0)
      throw new TreeError('a device 0:0 would hide files of the layers below')
    this.#makeNew(path, place => {
      native().makeNodeAt(place.directoryFd, place.name, format | 0o600, deviceMajor, deviceMinor)
      this.#dropInherited(place)
      this.#metadata.finishNode(place, entry)
    })
  }

  #makeLink(path: string, target: string): void {
    const targetFd = this.#directories.find(parentOf(target))
    if (targetFd === undefined) throw missingTarget(target)
    try {
      const there = native().statAt(targetFd, nameOf(target))
      if (there === undefined) throw missingTarget(target)
      if ((there.mode & constants.S_IFMT) === constants.S_IFDIR)
        throw new TreeError(`it is a hard link to the directory ${target}`)
      // tar(1) writes such an entry for a file that it was told to pack twice.
      if (target === path) return
      this.#makeNew(path, ({ directoryFd, name }) =>
        native().makeLinkAt(targetFd, nameOf(target), directoryFd, name),
      )
    } finally {
      closeSync(targetFd)
    }
  }

  #startDirectory(path: string, entry: TarEntry): void {
    if (path === rootPath || this.#makeDirectory(path)) this.#pending.set(path, entry)
  }

  /** Makes the directory, or takes an existing one; false where that shall stay as it is. */
  #makeDirectory(path: string): boolean {
    try {
      this.#makeEmptyDirectory(path)
      return true
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
    }
    const { directories = 'replace' } = this.#options
    const existing = this.#directoryAt(path)
    if (existing === 'own') return directories !== 'keep'
    if (existing === 'link' && directories !== 'replace') return false
    const removed = this.remove(path)
    this.#makeEmptyDirectory(path)
    // The layer removed what was there and puts a new directory in its place: nothing of the old one may show through.
    if (removed === 'whiteout' && this.#options.whiteouts === 'overlay')
      markOpaque(this.directory(path))
    return true
  }

  #makeEmptyDirectory(path: string): void {
    const place = this.place(path)
    native().makeDirectoryAt(place.directoryFd, place.name, 0o700)
    this.#dropInherited(place)
  }

  /** A directory itself, a link to one inside the root, or neither. */
  #directoryAt(path: string): 'own' | 'link' | undefined {
    const own = this.#directories.findOwn(path)
    if (own !== undefined) {
      closeSync(own)
      return 'own'
    }
    const linked = this.#directories.find(path)
    if (linked !== undefined) closeSync(linked)
    return linked === undefined ? undefined : 'link'
  }

  /** Calls `make`, once more where something else had the name, without it. */
  #makeNew(path: string, make: (place: NamePlace) => void): void {
    try {
      return make(this.place(path))
    } catch (error) {
      if (!hasErrno(error, 'EEXIST')) throw error
    }
    this.remove(path)
    return make(this.place(path))
  }

  /** An entry has the access list that the archive says, not one of the directory that it was made in. */
  #dropInherited({ directoryFd, name }: NamePlace): void {
    if (!this.#directories.passesOnAccess(directoryFd)) return
    for (const xattr of native().listXattrsAt(directoryFd, name))
      if (xattr.startsWith('system.posix_acl_')) native().removeXattrAt(directoryFd, name, xattr)
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file.fd)
    this.#file = undefined
  }

  #dropPending(directory: string): void {
    for (const path of this.#pending.keys())
      if (path === directory || path.startsWith(`${directory}/`)) this.#pending.delete(path)
  }

  /** A directory that no entry announced looks as below the overlay, or like any other of root's. */
  #announceImplicit(path: string): void {
    const { mtimeSeconds = 0, mtimeNanoseconds = 0 } = this.#current ?? {}
    const plain = { mode: 0o755, uid: 0, gid: 0, mtimeSeconds, mtimeNanoseconds, xattrs: noXattrs }
    this.#pending.set(path, this.#metadataBelow(path) ?? plain)
  }

  #metadataBelow(path: string): Metadata | undefined {
    const { below } = this.#options
    if (below === undefined) return undefined
    using tree = new OpenDirectories(below, () => {})
    const fd = tree.find(path)
    if (fd === undefined) return undefined
    try {
      return readMetadata(fd)
    } finally {
      closeSync(fd)
    }
  }
}

function missingTarget(target: string): TreeError {
  return new TreeError(`it is a hard link to ${target}, which is not there`)
}

/** Hides, in an overlay, what the layers below have in a directory. */
export function markOpaque(directoryFd: number): void {
  const name = process.geteuid?.() === 0 ? 'trusted.overlay.opaque' : 'user.overlay.opaque'
  native().setXattr(`/proc/self/fd/${directoryFd}/.`, name, Buffer.from('y'))
}

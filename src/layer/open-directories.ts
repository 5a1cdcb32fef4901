// Directories of the tree that an archive is unpacked onto, by their paths. The kernel resolves each path inside the root,
// through whatever links are there by then; the last used ones stay open, because archives list a directory's files
// together.

import { closeSync, constants } from 'node:fs'
import { hasErrno } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { nameOf, parentOf, rootPath } from './tar-path.ts'

const mostOpen = 32

const defaultAccessList = 'system.posix_acl_default'

/** What an archive needs and cannot have, such as a directory below a file. */
export class TreeError extends Error {}

/** Disposing it closes what it holds; the root's descriptor stays the caller's. */
export class OpenDirectories implements Disposable {
  readonly #rootFd: number
  readonly #made: (path: string) => void
  readonly #fds = new Map<string, number>()
  /** Whether what is made in a directory gets an access list from it; of open directories. */
  readonly #passOnAccess = new Map<number, boolean>()

  /** `made` gives a directory that no entry announced its owner, mode and times. */
  constructor(rootFd: number, made: (path: string) => void) {
    this.#rootFd = rootFd
    this.#made = made
  }

  /** A directory's descriptor, valid until the next call; missing directories are made. @throws TreeError */
  open(path: string): number {
    if (path === rootPath) return this.#rootFd
    const known = this.#fds.get(path)
    if (known !== undefined) {
      this.#fds.delete(path)
      this.#fds.set(path, known)
      return known
    }
    return this.#keep(path, this.#openNeeded(path) ?? this.#make(path))
  }

  /** True where what is made in an open directory gets its default access list. */
  passesOnAccess(fd: number): boolean {
    const known = this.#passOnAccess.get(fd)
    if (known !== undefined) return known
    const found = native().listXattrs(`/proc/self/fd/${fd}/.`).includes(defaultAccessList)
    this.#passOnAccess.set(fd, found)
    return found
  }

  /** A new descriptor of a directory, links followed inside the root; undefined where there is none. The caller closes it. */
  find(path: string): number | undefined {
    return this.#openExisting(path, oPath, ['ENOENT', 'ENOTDIR', 'ELOOP'])
  }

  /** As `find`, for reading, and a link at the end of the path is none. */
  findOwn(path: string): number | undefined {
    return this.#openExisting(path, constants.O_NOFOLLOW, ['ENOENT', 'ENOTDIR', 'ELOOP'])
  }

  /** To be called when a directory or link was removed: what was found through it is somewhere else now. */
  forget(): void {
    for (const fd of this.#fds.values()) closeSync(fd)
    this.#fds.clear()
    this.#passOnAccess.clear()
  }

  [Symbol.dispose](): void {
    this.forget()
  }

  #openExisting(path: string, flags: number, absent: readonly string[]): number | undefined {
    try {
      return native().openInRoot(this.#rootFd, path, constants.O_DIRECTORY | flags)
    } catch (error) {
      if (hasErrno(error, ...absent)) return undefined
      throw error
    }
  }

  #openNeeded(path: string): number | undefined {
    try {
      return this.#openExisting(path, oPath, ['ENOENT'])
    } catch (error) {
      if (hasErrno(error, 'ENOTDIR', 'ELOOP'))
        throw new TreeError(`${path} is needed as a directory and is none`)
      throw error
    }
  }

  #make(path: string): number {
    const parentFd = this.open(parentOf(path))
    try {
      native().makeDirectoryAt(parentFd, nameOf(path), 0o755)
    } catch (error) {
      if (hasErrno(error, 'EEXIST'))
        throw new TreeError(`${path} is needed as a directory and is a link that leads nowhere`)
      throw error
    }
    this.#made(path)
    return native().openAt(parentFd, nameOf(path), constants.O_DIRECTORY | oPath)
  }

  #keep(path: string, fd: number): number {
    if (this.#fds.size >= mostOpen) {
      const [oldest] = this.#fds
      if (oldest !== undefined) {
        closeSync(oldest[1])
        this.#passOnAccess.delete(oldest[1])
        this.#fds.delete(oldest[0])
      }
    }
    this.#fds.set(path, fd)
    return fd
  }
}

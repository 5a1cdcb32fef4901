// Small work on files of a tree that strangers filled: the kernel resolves every path inside the root's descriptor, so
// links and `..` in the tree lead nowhere else. Paths are as the image sees them, with or without a leading slash.

import { randomUUID } from 'node:crypto'
import { closeSync, constants, fstatSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { temporaryPrefix } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { native } from './native.ts'

/** A directory inside a root, held by descriptor, and the name in it that a path ends with. */
export interface Place extends Disposable {
  readonly directoryFd: number
  readonly name: string
}

/**
 * Opens the directory that holds the last component of `file`, for native's …At calls. Dispose it. `a/..` is dropped
 * before links are resolved, as a shell's `cd` has it.
 * @throws ENOENT, ENOTDIR of the directories before it; the name is empty for the root itself, which the calls refuse with EINVAL
 */
export function openPlace(rootFd: number, file: string): Place {
  const relative = path.posix.join('/', file)
  const parent = path.posix.dirname(relative)
  const directoryFd = native().openInRoot(rootFd, parent, constants.O_DIRECTORY | oPath)
  return {
    directoryFd,
    name: path.posix.basename(relative),
    [Symbol.dispose]: () => closeSync(directoryFd),
  }
}

/** O_PATH, which node:fs does not name; the same number on every architecture of Linux that Node supports. */
export const oPath = 0o10000000

/** A file's text, links followed inside the root; undefined where there is none. @throws UNSUPPORTED beyond `maxBytes` or for what is no file */
export function readTextInRoot(
  rootFd: number,
  file: string,
  maxBytes: number = 16 * 1024 * 1024,
): string | undefined {
  const placeFd = openIfThere(rootFd, file, oPath)
  if (placeFd === undefined) return undefined
  try {
    const stats = fstatSync(placeFd)
    // Only a file is opened: to open a device is to use it, and which one that would be is the tree's choice.
    if (!stats.isFile() || stats.size > maxBytes)
      throw new KauriError(
        'UNSUPPORTED',
        `${file} of the image is ${stats.isFile() ? `${stats.size} bytes long` : 'not a regular file'}`,
      )
    return readFileSync(`/proc/self/fd/${placeFd}`, 'utf8')
  } finally {
    closeSync(placeFd)
  }
}

/** True where the path, links followed inside the root, leads to something. */
export function existsInRoot(rootFd: number, file: string): boolean {
  const fd = openIfThere(rootFd, file, oPath)
  if (fd === undefined) return false
  closeSync(fd)
  return true
}

function openIfThere(rootFd: number, file: string, flags: number): number | undefined {
  try {
    return native().openInRoot(rootFd, file, flags)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

/** How a file or directory that is made looks. */
export interface NewFile {
  /** Permission bits, whatever the umask is. */
  readonly mode: number
  /** -1, and by default: as the process is. */
  readonly uid?: number
  readonly gid?: number
  /** Whole seconds since 1970; by default now. */
  readonly mtimeSeconds?: number
}

/**
 * Puts a file in the place of the one that had the name, through a temporary name and a rename; a link is replaced, not
 * followed. The directory before it exists already. @throws EISDIR where the name is a directory
 */
export function writeFileInRoot(
  rootFd: number,
  file: string,
  content: string | Uint8Array,
  { mode, uid = -1, gid = -1, mtimeSeconds }: NewFile,
): void {
  using place = openPlace(rootFd, file)
  const { directoryFd, name } = place
  const calls = native()
  const temporary = `${temporaryPrefix}${randomUUID()}`
  const fd = calls.openAt(
    directoryFd,
    temporary,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
    0o600,
  )
  try {
    writeFileSync(fd, content)
    const seconds = mtimeSeconds ?? Math.floor(fstatSync(fd).mtimeMs / 1000)
    calls.finishFile(fd, uid, gid, mode, seconds, 0)
    calls.renameAt(directoryFd, temporary, directoryFd, name)
  } catch (error) {
    calls.removeTreeAt(directoryFd, temporary)
    throw error
  } finally {
    closeSync(fd)
  }
}

/** mkdir -p: makes what is missing of a directory path; what is there already, also through links, is kept as it is. */
export function makeDirectoriesInRoot(
  rootFd: number,
  directory: string,
  { mode, uid = -1, gid = -1 }: Omit<NewFile, 'mtimeSeconds'>,
): void {
  const calls = native()
  let done = ''
  for (const name of path.posix.join('/', directory).split('/').filter(Boolean)) {
    const next = `${done}/${name}`
    if (!existsInRoot(rootFd, next)) {
      using place = openPlace(rootFd, next)
      calls.makeDirectoryAt(place.directoryFd, name, 0o700)
      if (uid >= 0 || gid >= 0) calls.setOwnerAt(place.directoryFd, name, uid, gid)
      calls.setModeAt(place.directoryFd, name, mode)
    }
    done = next
  }
}

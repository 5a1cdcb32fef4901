// Archives of files out of a root, and into one: what `cp` is made of. The root is a container's or the host's; either way
// names are resolved below its descriptor, and nothing that an archive or a tree holds leads elsewhere.

import { closeSync, constants } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import { type AppliedTar, applyTar } from '../layer/apply-tar.ts'
import { packTree } from '../layer/pack-tree.ts'
import type { TarEntry } from '../layer/tar-entry.ts'
import { oPath, openPlace } from '../native/in-root.ts'
import { native, type Stat } from '../native/native.ts'
import { asksForContents, assertsDirectory, baseName, type CopyDestination } from './copy-rules.ts'

/** A path below a root, and how the caller wrote it. */
export interface RootedPath {
  readonly rootFd: number
  readonly path: string
  readonly text: string
}

/** What is there, a link itself; undefined for nothing. The root itself is in no directory, and no link. */
function statName(at: RootedPath): Stat | undefined {
  try {
    using place = openPlace(at.rootFd, at.path)
    return native().statAt(place.directoryFd, place.name)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

/** True for a directory, or a link to one inside the root. */
export function isDirectoryAt(at: RootedPath): boolean {
  try {
    closeSync(native().openInRoot(at.rootFd, at.path, oPath | constants.O_DIRECTORY))
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false
    throw error
  }
}

/** What a destination is; links are followed, as cp does. */
export function destinationAt(at: RootedPath): CopyDestination {
  if (isDirectoryAt(at)) return { kind: 'directory' }
  if (statName(at) !== undefined) return { kind: 'file' }
  const parent = path.posix.dirname(at.path)
  return { kind: 'missing', hasParent: isDirectoryAt({ ...at, path: parent }) }
}

export interface CopyOutOptions {
  /** Take what a link leads to, under the link's name. */
  readonly follows: boolean
  /** Directories of the root whose contents stay out: `proc`. */
  readonly without: readonly string[]
  readonly signal: AbortSignal
  readonly emit: Emit
}

/** The tar of a file or directory: one entry with the name of the path, and what is below it. @throws FILE_NOT_FOUND */
export async function* copyOut(
  at: RootedPath,
  options: CopyOutOptions,
): AsyncGenerator<Uint8Array, void> {
  const { signal, emit } = options
  const found = findSource(at, options.follows)
  const name = baseName(at.text)
  try {
    const source = { kind: 'tree', path: `/proc/${process.pid}/fd/${found.fd}` } as const
    if (found.kind === 'directory') {
      const hidden = hiddenBelow(at.path, options.without)
      const prefix = asksForContents(at.text) ? {} : { prefix: name }
      yield* packTree(source, { ...prefix, exclude: hidden, signal, emit })
    } else {
      const only = (entry: string): boolean => entry !== found.name
      const archive = packTree(source, { exclude: only, withoutRoot: true, signal, emit })
      yield* archive
    }
  } finally {
    closeSync(found.fd)
  }
}

type FoundSource =
  | { readonly kind: 'directory'; readonly fd: number }
  /** The directory that it is in. */
  | { readonly kind: 'other'; readonly fd: number; readonly name: string }

const { O_DIRECTORY, O_RDONLY } = constants

function findSource(at: RootedPath, follows: boolean): FoundSource {
  const missing = (error?: unknown): KauriError =>
    new KauriError('FILE_NOT_FOUND', `Could not find the file ${at.text}`, { cause: error })
  try {
    const isLink = !follows && isLinkAt(at)
    if (!isLink && isDirectoryAt(at))
      return {
        kind: 'directory',
        fd: native().openInRoot(at.rootFd, at.path, O_DIRECTORY | O_RDONLY),
      }
    if (assertsDirectory(at.text) || statName(at) === undefined) throw missing()
    const target = follows ? resolveLinks(at) : at.path
    const fd = native().openInRoot(at.rootFd, path.posix.dirname(target), O_DIRECTORY | O_RDONLY)
    return { kind: 'other', fd, name: path.posix.basename(target) }
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw missing(error)
    throw error
  }
}

function isLinkAt(at: RootedPath): boolean {
  if (assertsDirectory(at.text) || at.path === '/') return false
  const stat = statName(at)
  return stat !== undefined && (stat.mode & constants.S_IFMT) === constants.S_IFLNK
}

const mostLinks = 40

/** The path behind the links that a path ends with; what is found there is opened below the root like any other. */
function resolveLinks(at: RootedPath): string {
  let current = at.path
  for (let i = 0; i < mostLinks; i++) {
    if (!isLinkAt({ ...at, path: current, text: current })) return current
    using place = openPlace(at.rootFd, current)
    const target = native().readLinkAt(place.directoryFd, place.name)
    current = path.posix.resolve(path.posix.dirname(current), target)
  }
  throw new KauriError('FILE_NOT_FOUND', `${at.text} leads through too many links`)
}

/** Says of each path in the archived directory whether it is below one that stays out. */
function hiddenBelow(directory: string, without: readonly string[]): (entry: string) => boolean {
  return entry => {
    const whole = path.posix.join('/', directory, entry)
    return without.some(name => whole.startsWith(`/${name}/`))
  }
}

export interface CopyInOptions {
  /** Name of the archive's one topmost entry, and the name that it gets. */
  readonly rename?: { readonly from: string; readonly to: string } | undefined
  /** Whose the files are; by default as the archive says. Others get no devices, and no set-id bits of other people. */
  readonly ownership?: 'archive' | { readonly uid: number; readonly gid: number }
  readonly signal: AbortSignal
  readonly emit: Emit
}

/**
 * Unpacks an archive into a directory. A directory is never replaced by something else, nor something else by a directory.
 * @throws ARCHIVE_INVALID, USAGE, PERMISSION_DENIED where the place is read-only
 */
export async function copyIn(
  tar: AsyncIterable<Uint8Array>,
  directoryFd: number,
  { rename, ownership = 'archive', signal, emit }: CopyInOptions,
): Promise<AppliedTar> {
  const nameOf = (entry: TarEntry): string =>
    rename === undefined ? entry.path : renamed(entry.path, rename)
  const devices = new Set<string>()
  return await applyTar(tar, directoryFd, {
    whiteouts: 'ordinary',
    ownership,
    directories: 'follow',
    // What a container made is the caller's now, but runs as nobody else and is no way to the machine's disks.
    setIdBits: ownership === 'archive' ? 'keep' : 'of-owner',
    signal,
    emit,
    rename(entry) {
      const name = nameOf(entry)
      if (ownership !== 'archive' && isDevice(entry, devices)) {
        devices.add(entry.path)
        emit({ kind: 'warning', message: `the device ${name} is left out; -a copies it` })
        return undefined
      }
      refuseOtherKind(directoryFd, name, entry)
      return name
    },
  })
}

/** A device, or one more name of a device that was one before. */
function isDevice({ type, linkTarget }: TarEntry, before: ReadonlySet<string>): boolean {
  return type === 'character' || type === 'block' || (type === 'link' && before.has(linkTarget))
}

function renamed(
  name: string,
  { from, to }: { readonly from: string; readonly to: string },
): string {
  if (from === '.') return name === '.' ? to : `${to}/${name}`
  if (name === from) return to
  return name.startsWith(`${from}/`) ? `${to}${name.slice(from.length)}` : name
}

function refuseOtherKind(rootFd: number, name: string, { type }: TarEntry): void {
  if (name === '.') return
  const at = { rootFd, path: path.posix.join('/', name), text: name }
  const there = statName(at)
  if (there === undefined) return
  const wasDirectory = (there.mode & constants.S_IFMT) === constants.S_IFDIR
  if (type === 'directory' && !wasDirectory && !isDirectoryAt(at))
    throw new KauriError(
      'USAGE',
      `cannot overwrite non-directory "${name}" with directory "${name}"`,
    )
  if (type !== 'directory' && wasDirectory)
    throw new KauriError(
      'USAGE',
      `cannot overwrite directory "${name}" with non-directory "${name}"`,
    )
}

// What a step reads from a context: the entries of a tree or one file, in a stable order. Everything is reached through
// descriptors, so that a link in a context from outside leads nowhere else.

import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError, type SourcePosition } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { type DirectoryScan, native, scanFields, scanWidth } from '../native/native.ts'
import type { ContextPath } from '../plan/plan.ts'

/** Sockets are left out: nothing can be read from them. */
export type ContextEntryType = 'file' | 'directory' | 'link' | 'character' | 'block' | 'fifo'

/** One entry of a source. */
export interface ContextEntry {
  /** Relative to the source, '' for the source itself. */
  readonly path: string
  readonly type: ContextEntryType
  /** Permission bits with set-user-ID, set-group-ID and sticky. */
  readonly mode: number
  readonly sizeBytes: number
  /** What a symbolic link says. */
  readonly target?: string
  /** The path of an earlier entry that is the same file. */
  readonly sameAs?: string
  readonly device?: { readonly major: number; readonly minor: number }
  /** Attributes that travel with the file, sorted by name. */
  readonly xattrs: readonly ContextXattr[]
}

export interface ContextXattr {
  readonly name: string
  readonly value: Buffer
}

/** A source inside its context, held by a descriptor. Dispose it. */
export interface ContextSource extends Disposable {
  /** Where the user finds it, for messages. */
  readonly hostPath: string
  /** Parents before what is in them, names sorted by their bytes. */
  readonly entries: readonly ContextEntry[]
  /** Opens a regular file of the source for reading; the caller closes it. */
  openFile(entry: ContextEntry): number
}

/** Opens a source below the host directory `root` and lists it. @throws FILE_NOT_FOUND, also where links lead out of the context */
export function openContextSource(
  root: string,
  source: ContextPath,
  where?: SourcePosition,
): ContextSource {
  const base = openBase(root, source, where)
  try {
    return {
      hostPath: path.join(root, source.path),
      entries: listEntries(base),
      openFile: entry => openRegular(base, entry.path),
      [Symbol.dispose]: () => closeSync(base.fd),
    }
  } catch (error) {
    closeSync(base.fd)
    throw error
  }
}

/** Permission bits with set-user-ID, set-group-ID and sticky. */
export const permissionBits = 0o7777

/** A directory and the path of the source in it, free of links; `.` where the source is the directory. */
interface Base {
  readonly fd: number
  readonly name: string
}

function openBase(root: string, source: ContextPath, where: SourcePosition | undefined): Base {
  let fd: number | undefined
  try {
    fd = openSync(root, oPath | constants.O_DIRECTORY)
    return { fd, name: pathWithoutLinks(fd, source.path) }
  } catch (error) {
    if (fd !== undefined) closeSync(fd)
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
    throw new KauriError('FILE_NOT_FOUND', `there is no ${path.join(root, source.path)}`, {
      hint: 'links may not lead out of the directory they are in',
      where,
      cause: error,
    })
  }
}

/** The kernel resolves the source inside the root; where that is tells /proc. A race only ends in another failed look-up. */
function pathWithoutLinks(rootFd: number, source: string): string {
  const fd = native().openInRoot(rootFd, source, oPath)
  try {
    const relative = path.relative(
      readlinkSync(`/proc/self/fd/${rootFd}`),
      readlinkSync(`/proc/self/fd/${fd}`),
    )
    return relative === '' ? '.' : relative
  } finally {
    closeSync(fd)
  }
}

function below(base: Base, entryPath: string): string {
  return entryPath === '' ? base.name : `${base.name}/${entryPath}`
}

function openRegular(base: Base, entryPath: string): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  return native().openInRoot(base.fd, below(base, entryPath), flags)
}

function listEntries(base: Base): ContextEntry[] {
  const firstPaths = new Map<string, string>()
  return [...walkSource(base)].map(({ inode, ...entry }) => {
    if (inode === undefined) return entry
    const sameAs = firstPaths.get(inode)
    if (sameAs !== undefined) return { ...entry, sameAs }
    firstPaths.set(inode, entry.path)
    return entry
  })
}

/** `inode` is set where a file has several names. */
type FoundEntry = ContextEntry & { readonly inode?: string }

function* walkSource(base: Base): Generator<FoundEntry> {
  if (base.name === '.') {
    const mode = fstatSync(base.fd).mode & permissionBits
    yield { path: '', type: 'directory', mode, sizeBytes: 0, xattrs: [] }
    yield* walkDirectory(base, '')
    return
  }
  const parentFd = openDirectory(base.fd, path.posix.dirname(base.name))
  try {
    const scan = native().scanDirectory(parentFd)
    const index = scan.names.indexOf(path.posix.basename(base.name))
    const entry = index < 0 ? undefined : describe({ fd: parentFd, scan, index }, '')
    if (entry === undefined) return
    yield entry
    if (entry.type === 'directory') yield* walkDirectory(base, '')
  } finally {
    closeSync(parentFd)
  }
}

function* walkDirectory(base: Base, directory: string): Generator<FoundEntry> {
  const fd = openDirectory(base.fd, below(base, directory))
  try {
    const scan = native().scanDirectory(fd)
    for (const [index, name] of scan.names.entries()) {
      const entry = describe({ fd, scan, index }, directory === '' ? name : `${directory}/${name}`)
      if (entry === undefined) continue
      yield entry
      if (entry.type === 'directory') yield* walkDirectory(base, entry.path)
    }
  } finally {
    closeSync(fd)
  }
}

function openDirectory(rootFd: number, directory: string): number {
  return native().openInRoot(
    rootFd,
    directory,
    oPath | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  )
}

/** One entry of a scanned directory. */
interface Scanned {
  readonly fd: number
  readonly scan: DirectoryScan
  readonly index: number
}

const entryTypes: Readonly<Record<number, ContextEntryType>> = {
  [constants.S_IFREG]: 'file',
  [constants.S_IFDIR]: 'directory',
  [constants.S_IFLNK]: 'link',
  [constants.S_IFCHR]: 'character',
  [constants.S_IFBLK]: 'block',
  [constants.S_IFIFO]: 'fifo',
}

function describe({ fd, scan, index }: Scanned, entryPath: string): FoundEntry | undefined {
  const field = (name: keyof typeof scanFields): number =>
    scan.stats[index * scanWidth + scanFields[name]] ?? 0
  const name = scan.names[index] ?? ''
  const type = entryTypes[field('mode') & constants.S_IFMT]
  if (type === undefined) return undefined
  const inode = `${field('dev')}:${field('inodeHigh')}:${field('inodeLow')}`
  return {
    path: entryPath,
    type,
    mode: field('mode') & permissionBits,
    sizeBytes: type === 'file' ? field('size') : 0,
    ...(type === 'link' ? { target: native().readLinkAt(fd, name) } : {}),
    ...(type === 'character' || type === 'block'
      ? { device: { major: field('deviceMajor'), minor: field('deviceMinor') } }
      : {}),
    ...(type === 'file' && field('nlink') > 1 ? { inode } : {}),
    xattrs: field('hasXattrs') === 1 ? readXattrs(fd, name) : [],
  }
}

/** Capabilities, access lists and the user's own; labels and overlayfs marks belong to the machine they are on. */
const travels =
  /^(?:security\.capability|system\.posix_acl_(?:access|default)|user\.(?!overlay\.).*)$/

function readXattrs(fd: number, name: string): ContextXattr[] {
  return native()
    .listXattrsAt(fd, name)
    .filter(xattr => travels.test(xattr))
    .toSorted()
    .map(xattr => ({ name: xattr, value: native().getXattrAt(fd, name, xattr) }))
}

// Directories of `RUN --mount=type=cache`. They outlive builds, are in no layer and in no key but by their id, and are
// named by a hash, so that no id can name a place on the host (CVE-2024-9675). Of one id there may be several copies: who
// wants a directory for itself takes a free one or makes another. Locks are the kernel's and die with their holder.
//
// `<dataRoot>/cache/mounts/<name>.<copy>/` holds `data/`, which containers see, and `mount.json`, whose time is that of the
// last use; `<dataRoot>/locks/cache-mounts/<name>.<copy>` is locked by who uses it.

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sweepTemporaries, temporaryBeside } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { type FileLock, lockFile, tryLockFile } from '../native/file-lock.ts'
import { oPath } from '../native/in-root.ts'
import { type Digest, digestOf, hexOf } from '../oci/digest.ts'
import type { MountAttributes } from '../plan/plan.ts'

/** What makes a cache mount another one. */
export interface CacheMountIdentity extends MountAttributes {
  readonly id: string
  /** Content that it started with; undefined: none. */
  readonly base?: Digest | undefined
}

export interface CacheMountRequest {
  readonly identity: CacheMountIdentity
  /** `shared`: with others at once; `private`: a copy that nobody else uses now; `locked`: one after the other. */
  readonly sharing: 'shared' | 'private' | 'locked'
  /** Puts the first content below the name `data` of an empty directory; undefined: an empty directory with the identity's looks. */
  readonly fill?: ((directoryFd: number) => Promise<void>) | undefined
  readonly signal?: AbortSignal | undefined
  /** Called once when somebody else has to end first. */
  readonly onWait?: () => void
}

/** A directory in use; disposing releases it. */
export interface CacheMount extends Disposable {
  /** What the container sees. Whatever is in it was written by strangers. */
  readonly directory: string
}

export const dataName = 'data'
export const recordName = 'mount.json'

const nameFormat = 1

/** The name of a cache mount's directories, without the number of the copy. */
export function cacheMountName({ id, mode, uid, gid, base }: CacheMountIdentity): string {
  return hexOf(digestOf(canonicalJson({ format: nameFormat, id, mode, uid, gid, base })))
}

/** Holds `<name>.<copy>/`; nobody but root may enter it, whatever modes the files in it have. */
export function cacheMountRoot(dataRoot: string): string {
  return path.join(dataRoot, 'cache', 'mounts')
}

export function cacheMountLock(dataRoot: string, copyName: string): string {
  return path.join(dataRoot, 'locks', 'cache-mounts', copyName)
}

/** Finds or makes a directory and holds it. @throws CANCELLED */
export async function openCacheMount(
  dataRoot: string,
  request: CacheMountRequest,
): Promise<CacheMount> {
  const name = cacheMountName(request.identity)
  for (;;) {
    const { lock, copyName } = await holdCopy(dataRoot, name, request)
    const copy = path.join(cacheMountRoot(dataRoot), copyName)
    try {
      if (!existsSync(copy)) await makeAlone(dataRoot, copyName, request)
      if (existsSync(copy)) return heldMount(copy, lock)
    } catch (error) {
      lock[Symbol.dispose]()
      throw error
    }
    lock[Symbol.dispose]()
  }
}

function heldMount(copy: string, lock: FileLock): CacheMount {
  markUsed(copy)
  return {
    directory: path.join(copy, dataName),
    [Symbol.dispose]() {
      markUsed(copy)
      lock[Symbol.dispose]()
    },
  }
}

function markUsed(copy: string): void {
  const now = Date.now() / 1000
  utimesSync(path.join(copy, recordName), now, now)
}

interface HeldCopy {
  readonly lock: FileLock
  readonly copyName: string
}

async function holdCopy(
  dataRoot: string,
  name: string,
  { sharing, signal, onWait }: CacheMountRequest,
): Promise<HeldCopy> {
  if (sharing === 'locked') {
    const copyName = `${name}.0`
    const file = cacheMountLock(dataRoot, copyName)
    const free = tryLockFile(file, 'exclusive')
    if (free !== undefined) return { lock: free, copyName }
    onWait?.()
    return { lock: await lockOrCancel(file, signal), copyName }
  }
  for (let copy = 0; ; copy++) {
    const copyName = `${name}.${copy}`
    const mode = sharing === 'shared' ? 'shared' : 'exclusive'
    const file = cacheMountLock(dataRoot, copyName)
    const free = tryLockFile(file, mode)
    if (free !== undefined) return { lock: free, copyName }
    // Somebody may only have had a look.
    await pause(lookMs, signal)
    const lock = tryLockFile(file, mode)
    if (lock !== undefined) return { lock, copyName }
  }
}

async function lockOrCancel(file: string, signal: AbortSignal | undefined): Promise<FileLock> {
  try {
    return await lockFile(file, 'exclusive', signal)
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    throw error
  }
}

const makingWaitMs = 20
const lookMs = 5

async function pause(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(waitMs, undefined, { signal }).catch(() => {})
  if (signal?.aborted) throw cancelled(signal)
}

/** A shared lock would let two of them begin, so the maker has one more. */
async function makeAlone(
  dataRoot: string,
  copyName: string,
  request: CacheMountRequest,
): Promise<void> {
  const making = tryLockFile(`${cacheMountLock(dataRoot, copyName)}.making`, 'exclusive')
  if (making === undefined) {
    // Somebody else is at it.
    await pause(makingWaitMs, request.signal)
    return
  }
  const copy = path.join(cacheMountRoot(dataRoot), copyName)
  try {
    if (!existsSync(copy)) await makeCacheMount(copy, request.identity, request.fill)
  } finally {
    making.removeAndRelease()
  }
}

/** Makes the directory of one copy, whole or not at all; the caller holds its lock. @throws FILE_NOT_FOUND where it starts with no directory */
export async function makeCacheMount(
  copy: string,
  identity: CacheMountIdentity,
  fill: CacheMountRequest['fill'],
): Promise<void> {
  mkdirSync(path.dirname(copy), { recursive: true, mode: 0o700 })
  sweepTemporaries(copy)
  const temporary = temporaryBeside(copy)
  mkdirSync(temporary, { mode: 0o700 })
  try {
    writeFileSync(path.join(temporary, recordName), `${canonicalJson(identity)}\n`, { mode: 0o600 })
    if (fill === undefined) makeEmpty(path.join(temporary, dataName), identity)
    else await fillDirectory(temporary, fill)
    renameSync(temporary, copy)
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true })
    throw error
  }
}

function makeEmpty(directory: string, { mode, uid, gid }: MountAttributes): void {
  mkdirSync(directory)
  chownSync(directory, uid, gid)
  chmodSync(directory, mode & 0o7777)
}

async function fillDirectory(
  directory: string,
  fill: (directoryFd: number) => Promise<void>,
): Promise<void> {
  const fd = openSync(directory, oPath | constants.O_DIRECTORY)
  try {
    await fill(fd)
  } finally {
    closeSync(fd)
  }
  if (lstatSync(path.join(directory, dataName)).isDirectory()) return
  throw new KauriError('FILE_NOT_FOUND', 'what a cache starts with must be a directory')
}

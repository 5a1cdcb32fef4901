// Trees that are being written, and how they end: committed by one rename, or moved to `.trash/` and deleted from there.
// The writer holds an flock on `.active/<name>.lock` while it lives, so a sweep can tell what a killed process left.
// Nothing waits for the disk: trees that were never settled are forgotten at the first use after a boot.

import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { randomHex } from '../core/random-hex.ts'
import { readTextSync } from '../core/text-file.ts'
import {
  adoptLock,
  type FileLock,
  lockFile,
  tryLockFile,
  whileLocked,
} from '../native/file-lock.ts'
import { native } from '../native/native.ts'
import { defaultPath } from '../oci/image-config.ts'
import { type Snapshot, type SnapshotId, snapshotId } from './rootfs.ts'
import {
  findRecord,
  getChain,
  listRecords,
  snapshotNames,
  writeRecord,
} from './snapshot-records.ts'

const activeName = '.active'
const trashName = '.trash'
const locksName = '.locks'
const settledFile = 'settled'
const keepFile = 'keep-as'

/** A tree under way. `drop` is idempotent, and does nothing once the tree was committed. */
export interface ActiveTree {
  readonly directory: string
  /** The tree, or the upper directory, in it. */
  readonly fs: string
  /** What it stands on, topmost first; held against removal until the tree ends. */
  readonly below: readonly Snapshot[]
  /** True where the tree outlives its process under the name that it shall be kept as. */
  readonly kept: boolean
  commit(id: SnapshotId, labels: Readonly<Record<string, string>>): Snapshot
  drop(): void
}

/** Makes the directory of a driver ready and forgets what an earlier boot did not settle. */
export async function openTreeDirectory(directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  for (const name of [activeName, trashName, locksName])
    mkdirSync(path.join(directory, name), { recursive: true, mode: 0o700 })
  const boot = readTextSync('/proc/sys/kernel/random/boot_id')?.trim() ?? ''
  const bootFile = path.join(directory, '.boot')
  if (readTextSync(bootFile) === boot) return
  await whileLocked(path.join(directory, locksName, 'boot'), () => {
    if (readTextSync(bootFile) === boot) return
    for (const id of snapshotNames(directory))
      if (!isSettled(directory, id)) discard(directory, path.join(directory, id))
    writeFileSync(bootFile, boot)
  })
}

/** A new tree with an empty `fs` directory of mode 0755. @throws SNAPSHOT_INVALID where the parent is gone */
export async function beginTree(
  directory: string,
  parent: SnapshotId | undefined,
  keepAs: SnapshotId | undefined,
): Promise<ActiveTree> {
  const parentLock = parent === undefined ? undefined : holdSnapshot(directory, parent)
  try {
    const below = parent === undefined ? [] : getChain(directory, parent)
    const tree = path.join(directory, activeName, randomHex(16))
    const lock = await lockFile(`${tree}.lock`, 'exclusive')
    mkdirSync(path.join(tree, 'fs'), { recursive: true, mode: 0o700 })
    // mkdir's mode passes through the umask
    chmodSync(path.join(tree, 'fs'), 0o755)
    if (keepAs !== undefined)
      writeFileSync(path.join(tree, keepFile), [keepAs, parent].filter(Boolean).join(' '))
    return activeTree(directory, { tree, below, kept: keepAs !== undefined, lock, parentLock })
  } catch (error) {
    parentLock?.[Symbol.dispose]()
    throw error
  }
}

/** Holds a snapshot against removal. @throws SNAPSHOT_INVALID where it is being removed */
export function holdSnapshot(directory: string, id: SnapshotId): FileLock {
  const lock = tryLockFile(snapshotLock(directory, id), 'shared')
  if (lock !== undefined) return lock
  throw new KauriError('SNAPSHOT_INVALID', `the snapshot ${id} is being removed`, {
    hint: 'run the command again',
  })
}

/** Takes a snapshot for one alone; its parents stay as long as it is there. @throws LOCK_BUSY, SNAPSHOT_INVALID */
export function takeSnapshot(directory: string, id: SnapshotId, inheritedFd?: number): FileLock {
  const file = snapshotLock(directory, id)
  const lock =
    inheritedFd === undefined ? tryLockFile(file, 'exclusive') : adoptLock(file, inheritedFd)
  if (lock === undefined)
    throw new KauriError('LOCK_BUSY', `the tree ${id} is in use`, { hint: 'try again later' })
  try {
    getChain(directory, id)
    return lock
  } catch (error) {
    lock[Symbol.dispose]()
    throw error
  }
}

/** Removes a snapshot. @throws LOCK_BUSY where another one stands on it or somebody holds it */
export async function removeSnapshot(directory: string, id: SnapshotId): Promise<void> {
  const busy = (why: string): KauriError =>
    new KauriError('LOCK_BUSY', `the snapshot ${id} cannot be removed: ${why}`)
  using lock = tryLockFile(snapshotLock(directory, id), 'exclusive')
  if (lock === undefined) throw busy('it is in use')
  const child = listRecords(directory).find(({ parent }) => parent === id)
  if (child !== undefined) throw busy(`${child.id} stands on it`)
  const trash = discard(directory, path.join(directory, id))
  lock.removeAndRelease()
  await deleteTree(trash)
}

/** Makes what was committed until now outlast a loss of power. */
export async function settleSnapshots(directory: string, signal?: AbortSignal): Promise<void> {
  const unsettled = snapshotNames(directory).filter(id => !isSettled(directory, id))
  if (unsettled.length === 0) return
  const { runChecked } = await import('../core/process.ts')
  // A program, because syncfs(2) may take seconds and would stop this thread.
  await runChecked(['sync', '-f', directory], {
    env: { PATH: defaultPath },
    what: 'writing the snapshots to the disk',
    signal,
  })
  for (const id of unsettled) markSettled(path.join(directory, id))
}

/** Ends what killed processes left: trees to be kept are committed, the others deleted. */
export async function sweepTrees(directory: string): Promise<void> {
  const active = path.join(directory, activeName)
  for (const name of readdirSync(active)) {
    if (!name.endsWith('.lock')) continue
    using lock = tryLockFile(path.join(active, name), 'exclusive')
    if (lock === undefined) continue
    endLeftTree(directory, path.join(active, name.slice(0, -'.lock'.length)))
    lock.removeAndRelease()
  }
  for (const name of readdirSync(path.join(directory, trashName)))
    await deleteTree(path.join(directory, trashName, name))
}

interface TreeUnderWay {
  readonly tree: string
  readonly below: readonly Snapshot[]
  readonly kept: boolean
  readonly lock: FileLock
  readonly parentLock: FileLock | undefined
}

function activeTree(directory: string, { tree, below, ...under }: TreeUnderWay): ActiveTree {
  let ended = false
  const end = <T>(work: () => T): T => {
    const result = work()
    ended = true
    under.lock.removeAndRelease()
    under.parentLock?.[Symbol.dispose]()
    return result
  }
  return {
    directory: tree,
    fs: path.join(tree, 'fs'),
    below,
    kept: under.kept,
    commit: (id, labels) =>
      end(() => freeze(directory, tree, { id, parent: below[0]?.id, labels }, under.kept)),
    drop() {
      if (ended) return
      const trash = end(() => discard(directory, tree))
      deleteSubvolume(trash)
      rmSync(trash, { recursive: true, force: true })
    },
  }
}

/** Gives a tree its name. What is kept for its own sake counts as settled: its loss could not be made good. */
function freeze(directory: string, tree: string, snapshot: Snapshot, settled: boolean): Snapshot {
  // What shall be kept is so until it has its name: a sweep would delete a tree that does not say it.
  for (const name of readdirSync(tree))
    if (name !== 'fs' && name !== keepFile)
      rmSync(path.join(tree, name), { recursive: true, force: true })
  writeRecord(tree, snapshot)
  if (settled) markSettled(tree)
  const named = path.join(directory, snapshot.id)
  while (!renameOntoNothing(tree, named)) {
    const existing = findRecord(directory, snapshot.id)
    void deleteTree(discard(directory, existing === undefined ? named : tree))
    if (existing !== undefined) return existing
  }
  rmSync(path.join(named, keepFile), { force: true })
  return snapshot
}

function renameOntoNothing(tree: string, named: string): boolean {
  try {
    renameSync(tree, named)
    return true
  } catch (error) {
    if (hasErrno(error, 'ENOTEMPTY', 'EEXIST')) return false
    throw error
  }
}

function endLeftTree(directory: string, tree: string): void {
  const kept = parseKept(readTextSync(path.join(tree, keepFile)) ?? '')
  if (kept === undefined) discard(directory, tree)
  else freeze(directory, tree, kept, true)
}

/** Undefined for words that were cut short: the kill came before anything was written to the tree. */
function parseKept(text: string): Snapshot | undefined {
  const [id = '', parent] = text.split(' ')
  try {
    return {
      id: snapshotId(id),
      parent: parent === undefined ? undefined : snapshotId(parent),
      labels: {},
    }
  } catch {
    return undefined
  }
}

/** Takes a tree out of sight; returns where it waits for deletion. */
function discard(directory: string, tree: string): string {
  const trash = path.join(directory, trashName, randomHex(16))
  try {
    renameSync(tree, trash)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error
  }
  return trash
}

/** What cannot be deleted now stays in the trash for the next sweep. */
async function deleteTree(trash: string): Promise<void> {
  deleteSubvolume(trash)
  await rm(trash, { recursive: true, force: true }).catch(() => {})
}

/** The root of every subvolume of btrfs has this inode number. */
const subvolumeInode = 256

/** Where the tree is a subvolume, one call removes it; what is none, or has others in it, is left to be removed file by file. */
function deleteSubvolume(tree: string): void {
  const fs = path.join(tree, 'fs')
  if (lstatSync(fs, { throwIfNoEntry: false })?.ino !== subvolumeInode) return
  const treeFd = openSync(tree, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    native().deleteSubvolumeAt(treeFd, path.basename(fs))
  } catch (error) {
    if (!hasErrno(error, 'ENOTTY', 'EINVAL', 'ENOTEMPTY', 'EPERM')) throw error
  } finally {
    closeSync(treeFd)
  }
}

/** Held by who makes the snapshot of that name. */
export function makingLock(directory: string, id: SnapshotId): string {
  return path.join(directory, locksName, `${id}.making`)
}

function snapshotLock(directory: string, id: SnapshotId): string {
  return path.join(directory, locksName, id)
}

function isSettled(directory: string, id: SnapshotId): boolean {
  return existsSync(path.join(directory, id, settledFile))
}

function markSettled(tree: string): void {
  writeFileSync(path.join(tree, settledFile), '')
}

// Writable trees and the snapshots they become. A snapshot is an immutable tree with a name that says what is in it;
// a root file system stands on a snapshot, is changed, and is committed as another one.

import type { Brand } from '../core/brand.ts'
import { KauriError } from '../core/errors.ts'
import type { RootMount } from '../runtime/runtime.ts'

/** Names a snapshot: the hex of a chain ID, or of the digest of the step that made it. */
export type SnapshotId = Brand<string, 'SnapshotId'>

const snapshotIdForm = /^[0-9a-f]{8,128}$/

/** The brand's constructor. @throws SNAPSHOT_INVALID for anything but 8 to 128 lower-case hexadecimal digits */
export function snapshotId(text: string): SnapshotId {
  if (!snapshotIdForm.test(text))
    throw new KauriError(
      'SNAPSHOT_INVALID',
      `"${text.slice(0, 140)}" is not the name of a snapshot`,
    )
  return text as SnapshotId
}

/** An immutable tree; kept until garbage collection finds nobody using it. */
export interface Snapshot {
  readonly id: SnapshotId
  readonly parent: SnapshotId | undefined
  /** What its maker wanted remembered with it. */
  readonly labels: Readonly<Record<string, string>>
}

/** A path at which this process, and its children, see a whole tree: a detached mount that dies with the process. */
export interface OpenTree extends Disposable {
  /** Ends without a slash; `${path}/etc/passwd` is resolved by the host, so use native/'s confined calls for names from inside. */
  readonly path: string
  /** An O_PATH descriptor of the root, for calls that resolve inside it. */
  readonly fd: number
}

/** A tree being changed. Disposing it before commit throws the changes away; idempotent. */
export interface Rootfs extends AsyncDisposable {
  readonly parent: SnapshotId | undefined
  /** What the launcher mounts as the container's root. */
  readonly mount: RootMount
  /** Opens the tree for this process; close it before anything runs on `mount`, two mounts of one upper directory do not mix. */
  open(): OpenTree
}

/**
 * A snapshot that is written to in place: what a container keeps between its runs. It stays under its name whatever
 * happens; disposing it, or the end of the last process that holds one of the locks, lets others have it.
 */
export interface ReopenedTree extends Disposable {
  readonly mount: RootMount
  /** Opens the tree for this process; close it before anything runs on `mount`. */
  open(): OpenTree
  /** Descriptors that keep others out; a process that inherits them holds the tree, too. */
  readonly lockFds: readonly number[]
}

/** Where changed entries are found when a snapshot becomes a layer. */
export type ChangeSource =
  /** The whole tree is the change: a snapshot without parent. */
  | { readonly kind: 'tree'; readonly path: string }
  /** An overlayfs upper directory with its whiteouts (character device 0:0, or trusted.overlay.opaque). */
  | { readonly kind: 'overlay-upper'; readonly path: string }
  /** Two whole trees; the change is what differs. `isClone`: files that nobody touched have the parent's inode numbers and change times. */
  | {
      readonly kind: 'tree-diff'
      readonly path: string
      readonly parent: string
      readonly isClone?: boolean
    }

export interface PrepareOptions {
  /**
   * Where this process dies before commit or disposal, the next sweep commits the tree under this name instead of
   * dropping it: what a container wrote outlives a killed kauri.
   */
  readonly keepAs?: SnapshotId
  readonly signal?: AbortSignal | undefined
}

/** Makes and keeps trees. One implementation for each way the file system offers to share unchanged files. */
export interface Snapshotter {
  readonly name: string
  /** Why this one and no other, in words for people. */
  readonly reason: string
  /** How many snapshots may stand on one another before the layers of an image are put together; undefined: any number. */
  readonly mostStacked?: number | undefined
  /** The snapshot and all it stands on, topmost first. @throws SNAPSHOT_INVALID where one is missing */
  chain(id: SnapshotId): readonly Snapshot[]
  /** The snapshot, or undefined. Marks it as used now. */
  findSnapshot(id: SnapshotId): Promise<Snapshot | undefined>
  /** A new writable tree; `undefined`: empty. @throws SNAPSHOT_INVALID where the parent is gone */
  prepare(parent: SnapshotId | undefined, options?: PrepareOptions): Promise<Rootfs>
  /**
   * Freezes a tree under a name; atomic, but waits for no disk: what was not settled is forgotten at the next boot.
   * Where the name exists already the tree is dropped and the old one returned.
   */
  commit(
    rootfs: Rootfs,
    id: SnapshotId,
    labels?: Readonly<Record<string, string>>,
  ): Promise<Snapshot>
  /** Does `work` while nobody else, in any process, makes a snapshot of that name; look again first whether it is there. */
  whileMaking<T>(id: SnapshotId, work: () => Promise<T>, signal?: AbortSignal): Promise<T>
  /** Opens a snapshot for reading. The caller disposes it. */
  open(id: SnapshotId): OpenTree
  /**
   * Takes a snapshot, on which no other stands, for writing in place. `lockFd`: a descriptor of an earlier call that this
   * process inherited. @throws LOCK_BUSY where somebody has it open, SNAPSHOT_INVALID where it is gone
   */
  reopen(id: SnapshotId, lockFd?: number): ReopenedTree
  /** Keeps a snapshot, and all it stands on, from being removed until disposal. @throws SNAPSHOT_INVALID where it is being removed */
  hold(id: SnapshotId): Disposable
  /** Where the changes of this snapshot against its parent are. */
  changes(id: SnapshotId): ChangeSource
  /** Makes all that was committed so far outlast a loss of power; one sync of the file system. */
  settle(signal?: AbortSignal): Promise<void>
  /** Removes a snapshot; idempotent. @throws LOCK_BUSY where another one stands on it or somebody has it open */
  remove(id: SnapshotId): Promise<void>
  /** Every snapshot, with the time it was last used in milliseconds since 1970. */
  list(): Promise<readonly (Snapshot & { readonly usedMs: number })[]>
}

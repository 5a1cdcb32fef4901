// Writable trees and the snapshots they become. A snapshot is an immutable tree with a name that says what is in it;
// a root file system stands on a snapshot, is changed, and is committed as another one.

import type { Brand } from '../core/brand.ts'
import type { RootMount } from '../runtime/runtime.ts'

/** Names a snapshot: the hex of a chain ID, or of the digest of the step that made it. */
export type SnapshotId = Brand<string, 'SnapshotId'>

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

/** Where changed entries are found when a snapshot becomes a layer. */
export type ChangeSource =
  /** The whole tree is the change: a snapshot without parent. */
  | { readonly kind: 'tree'; readonly path: string }
  /** An overlayfs upper directory with its whiteouts (character device 0:0, or trusted.overlay.opaque). */
  | { readonly kind: 'overlay-upper'; readonly path: string }

/** Makes and keeps trees. One implementation for each way the file system offers to share unchanged files. */
export interface Snapshotter {
  readonly name: string
  /** The snapshot, or undefined. Marks it as used now. */
  findSnapshot(id: SnapshotId): Promise<Snapshot | undefined>
  /** A new writable tree; `undefined`: empty. @throws SNAPSHOT_INVALID where the parent is gone */
  prepare(parent: SnapshotId | undefined): Promise<Rootfs>
  /** Freezes a tree under a name; atomic. Where the name exists already the tree is dropped and the old one returned. */
  commit(
    rootfs: Rootfs,
    id: SnapshotId,
    labels?: Readonly<Record<string, string>>,
  ): Promise<Snapshot>
  /** Opens a snapshot for reading. The caller disposes it. */
  open(id: SnapshotId): OpenTree
  /** Where the changes of this snapshot against its parent are. */
  changes(id: SnapshotId): ChangeSource
  /** Removes a snapshot that no other one stands on; idempotent. */
  remove(id: SnapshotId): Promise<void>
  /** Every snapshot, with the time it was last used in milliseconds since 1970. */
  list(): Promise<readonly (Snapshot & { readonly usedMs: number })[]>
}

// Files of a context as a step's bind mount shows them: a copy in a snapshot that is named by their content. After an edit
// the copy before it is brought up to date; of one place only the newest is kept, so that edits do not fill the disk; of a
// context that lasts for one build, none.

import path from 'node:path'
import { KauriError } from '../../core/errors.ts'
import { type Digest, digestOf, hexOf } from '../../oci/digest.ts'
import { type GuestPath, guestPath, type SourceRoot } from '../../plan/plan.ts'
import {
  type OpenTree,
  type Rootfs,
  type SnapshotId,
  type Snapshotter,
  snapshotId,
} from '../../rootfs/rootfs.ts'
import { copyPath } from '../source-selection.ts'
import { listPlace } from './context-listing.ts'
import { type CopyRecord, copyRecords } from './context-records.ts'
import { compareListings, updateCopy } from './context-update.ts'
import type { StepContext } from './step.ts'

/** A copy while somebody looks at it, who holds it against removal. */
export interface ContextCopy extends AsyncDisposable {
  readonly snapshot: SnapshotId
  readonly tree: OpenTree
}

export interface CopiedPlace {
  readonly from: Extract<SourceRoot, { readonly kind: 'context' }>
  readonly path: GuestPath
  /** Of what is there. */
  readonly digest: Digest
}

/** The copy's only name, so that equal contents have one snapshot, whatever they are called. */
export const copyName: GuestPath = guestPath('/source')

/** Raised whenever a copy of equal content would look different from before. */
const copyFormat = 1

/** Finds or makes the copy. @throws PROCESS_FAILED where the files are no longer what the digest says */
export async function openContextCopy(
  context: StepContext,
  place: CopiedPlace,
): Promise<ContextCopy> {
  const { snapshotter, dataRoot } = context.tools
  const id = snapshotId(hexOf(digestOf(`mounted copy ${copyFormat} ${place.digest}`)))
  const directory = path.resolve(context.plan.contexts[place.from.context]?.directory ?? '')
  const isLasting = path.relative(dataRoot, directory).startsWith('..')
  const records = isLasting ? copyRecords(dataRoot, directory, place.path) : undefined
  const older = await records?.find()
  const tree = await snapshotter.whileMaking(
    id,
    async () => {
      if ((await snapshotter.findSnapshot(id)) === undefined)
        await makeCopy(context, place, { id, older })
      return snapshotter.open(id)
    },
    context.options.signal,
  )
  if (older?.id !== id) {
    const listed = records && (await listPlace(context, place))
    await records?.write({ id, entries: listed?.entries ?? new Map() })
    if (older !== undefined) await removeUnused(snapshotter, older.id)
  }
  return {
    snapshot: id,
    tree,
    async [Symbol.asyncDispose]() {
      tree[Symbol.dispose]()
      if (!isLasting) await removeUnused(snapshotter, id)
    },
  }
}

interface NewCopy {
  readonly id: SnapshotId
  readonly older: CopyRecord | undefined
}

async function makeCopy(
  context: StepContext,
  place: CopiedPlace,
  { id, older }: NewCopy,
): Promise<void> {
  const { snapshotter } = context.tools
  await using updated = older && (await updateOlder(context, place, older))
  if (updated !== undefined) {
    await snapshotter.commit(updated, id)
    return
  }
  await using root = await snapshotter.prepare(undefined)
  {
    using tree = root.open()
    await copyPath(context, place, { rootFd: tree.fd, target: copyName })
  }
  await snapshotter.commit(root, id)
}

/** Each update is a layer on top of the one before. */
const mostUpdates = 16

/** Undefined where the older copy is of no use. */
async function updateOlder(
  context: StepContext,
  { from, path: source }: CopiedPlace,
  older: CopyRecord,
): Promise<Rootfs | undefined> {
  const { snapshotter } = context.tools
  if (older.entries.size === 0 || !(await hasRoom(snapshotter, older.id))) return undefined
  const listed = await listPlace(context, { from, path: source })
  const change = listed && compareListings(older.entries, listed.entries)
  if (listed === undefined || change === undefined) return undefined
  const root = await prepareIfThere(snapshotter, older.id)
  try {
    using tree = root?.open()
    if (tree !== undefined)
      await updateCopy(context, { from, listed, change }, { rootFd: tree.fd, copy: copyName })
    return root
  } catch (error) {
    await root?.[Symbol.asyncDispose]()
    throw error
  }
}

async function hasRoom(snapshotter: Snapshotter, id: SnapshotId): Promise<boolean> {
  let below: SnapshotId | undefined = id
  for (let count = 0; count < mostUpdates; count++) {
    const snapshot = await snapshotter.findSnapshot(below)
    if (snapshot === undefined) return false
    if (snapshot.parent === undefined) return true
    below = snapshot.parent
  }
  return false
}

/** Somebody else may remove it in this moment. */
async function prepareIfThere(
  snapshotter: Snapshotter,
  id: SnapshotId,
): Promise<Rootfs | undefined> {
  try {
    return await snapshotter.prepare(id)
  } catch (error) {
    if (error instanceof KauriError && error.code === 'SNAPSHOT_INVALID') return undefined
    throw error
  }
}

/**
 * Removes a copy and those that it was made of, unless others stand on them or look at them: these go with a garbage
 * collection. Not between somebody's look for it and the beginning of its use.
 */
async function removeUnused(snapshotter: Snapshotter, id: SnapshotId): Promise<void> {
  try {
    for (let next: SnapshotId | undefined = id; next !== undefined; ) {
      const current: SnapshotId = next
      next = (await snapshotter.findSnapshot(current))?.parent
      await snapshotter.whileMaking(current, () => snapshotter.remove(current))
    }
  } catch (error) {
    if (!(error instanceof KauriError) || error.code !== 'LOCK_BUSY') throw error
  }
}

// Files of a context as a step's bind mount shows them: copied once into a snapshot that is named by their content. Of one
// place the newest copy is kept, so that an edited context does not fill the disk; of a context that lasts for one build
// only, none.

import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../../core/atomic-file.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { KauriError } from '../../core/errors.ts'
import { type Digest, digestOf, hexOf } from '../../oci/digest.ts'
import { type GuestPath, guestPath, type SourceRoot } from '../../plan/plan.ts'
import {
  type OpenTree,
  type SnapshotId,
  type Snapshotter,
  snapshotId,
} from '../../rootfs/rootfs.ts'
import { copyPath } from '../source-selection.ts'
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
  const directory = context.plan.contexts[place.from.context]?.directory ?? ''
  const tree = await snapshotter.whileMaking(
    id,
    async () => snapshotter.open(await makeCopy(context, place, id)),
    context.options.signal,
  )
  const isLasting = path.relative(dataRoot, directory).startsWith('..')
  if (isLasting) await replaceOlder(context, { directory, path: place.path, id })
  return {
    snapshot: id,
    tree,
    async [Symbol.asyncDispose]() {
      tree[Symbol.dispose]()
      if (!isLasting) await removeUnused(snapshotter, id)
    },
  }
}

async function makeCopy(
  context: StepContext,
  { from, path: source }: CopiedPlace,
  id: SnapshotId,
): Promise<SnapshotId> {
  const { snapshotter } = context.tools
  if ((await snapshotter.findSnapshot(id)) !== undefined) return id
  await using root = await snapshotter.prepare(undefined)
  {
    using tree = root.open()
    await copyPath(context, { from, path: source }, { rootFd: tree.fd, target: copyName })
  }
  return (await snapshotter.commit(root, id)).id
}

interface KeptCopy {
  readonly directory: string
  readonly path: GuestPath
  readonly id: SnapshotId
}

/** A record for each place names its copy. */
async function replaceOlder(
  { tools: { dataRoot, snapshotter } }: StepContext,
  { directory, path: source, id }: KeptCopy,
): Promise<void> {
  const place = hexOf(digestOf(canonicalJson({ directory: path.resolve(directory), source })))
  const record = path.join(dataRoot, 'cache', 'mounted-copies', place)
  const older = (await readTextIfThere(record))?.trim()
  if (older === id) return
  if (older !== undefined) await removeUnused(snapshotter, snapshotId(older))
  await writeCacheRecord(record, `${id}\n`, 0o600)
}

/** Not between somebody's look for it and the beginning of its use. What others look at now goes with the next garbage collection. */
async function removeUnused(snapshotter: Snapshotter, id: SnapshotId): Promise<void> {
  try {
    await snapshotter.whileMaking(id, () => snapshotter.remove(id))
  } catch (error) {
    if (!(error instanceof KauriError) || error.code !== 'LOCK_BUSY') throw error
  }
}

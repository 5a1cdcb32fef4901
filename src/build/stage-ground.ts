// What a stage starts from: nothing, an image of the store, which is unpacked only when a step really runs on it or its
// root is read, or the end of another stage.

import { KauriError } from '../core/errors.ts'
import type { Image } from '../image/image.ts'
import { openStoredManifest } from '../image/open-stored-manifest.ts'
import { chainIdsOf, type Digest, hexOf } from '../oci/digest.ts'
import type { BuildStage } from '../plan/plan.ts'
import { type Snapshot, snapshotId } from '../rootfs/rootfs.ts'
import { unpackImage } from '../rootfs/unpack-image.ts'
import type { BuildOptions } from './build.ts'
import { emptyTree, type LazyTree } from './lazy-tree.ts'
import type { ExecutorParts, StageRun } from './stage-run.ts'
import { emptyRootKey, imageRootKey } from './step-key.ts'

export interface StageGround {
  readonly key: Digest
  readonly tree: LazyTree
  /** Where the stage starts from an image. */
  readonly image?: Image
  /** Where it starts from another stage. */
  readonly stage?: StageRun
}

/** The ground of a stage without a base. */
export function emptyGround({ platform }: BuildStage): StageGround {
  return { key: emptyRootKey(platform), tree: emptyTree }
}

/** Reads the image's manifest and configuration. @throws BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID */
export async function imageGround(
  { platform }: BuildStage,
  manifest: Digest,
  { parts, options }: { readonly parts: ExecutorParts; readonly options: BuildOptions },
): Promise<StageGround> {
  if (parts.store === undefined)
    throw new KauriError('INTERNAL', `no store to take the image ${manifest} from`)
  const image = await openStoredManifest(parts.store, manifest)
  const chain = chainIdsOf(image.layers.map(({ diffId }) => diffId)).at(-1)
  const key = imageRootKey(platform, chain)
  if (chain === undefined) return { key, tree: emptyTree, image }
  const { snapshotter } = parts
  const id = snapshotId(hexOf(chain))
  const { signal, emit } = options
  const make = async (): Promise<Snapshot> => {
    const top = await unpackImage(image, { snapshotter, signal, emit })
    const there = top === undefined ? undefined : await snapshotter.findSnapshot(top)
    if (there !== undefined) return there
    throw new KauriError('SNAPSHOT_INVALID', `the layers of ${manifest} were removed meanwhile`, {
      hint: 'run the command again',
    })
  }
  return { key, tree: { name: async () => id, make }, image }
}

/** The ground of a stage that stands on another one. */
export async function stageGround(stage: StageRun): Promise<StageGround> {
  const tree: LazyTree = {
    name: async () => await (await stage.reach()).name(),
    make: async () => await (await stage.reach()).make(),
  }
  return { key: await stage.learnKeys(), tree, stage }
}

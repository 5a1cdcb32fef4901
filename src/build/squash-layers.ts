// Makes one layer of several of an image's: what the tree has at their top beyond what it has below them.

import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import type { Image } from '../image/image.ts'
import type { SnapshotId, Snapshotter } from '../rootfs/rootfs.ts'
import { unpackImage } from '../rootfs/unpack-image.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { packSource } from './pack-source.ts'
import { openSnapshotChange } from './snapshot-change.ts'

export interface SquashWork {
  readonly store: DiskStore
  readonly snapshotter: Snapshotter
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

/** Unpacks what is missing, packs, and stores the layer. @throws what unpacking and packing throw */
export async function squashLayers(
  { layers }: Image,
  keep: number,
  { store, snapshotter, signal, emit }: SquashWork,
): Promise<LayerOfImage> {
  const unpack = async (count: number): Promise<SnapshotId | undefined> =>
    await unpackImage({ layers: layers.slice(0, count) }, { snapshotter, signal, emit })
  const below = await unpack(keep)
  const top = await unpack(layers.length)
  if (top === undefined) throw new KauriError('UNSUPPORTED', 'the image has no layers')
  using change = await openSnapshotChange(top, below, snapshotter)
  using batch = store.openBatch()
  const compression = { codec: 'zstd' } as const
  const record = await packSource(change.source, { compression }, { batch, signal, emit })
  await batch.commit({ signal })
  await store.rememberLayer(record)
  const { diffId, mediaType, digest, size } = record
  return { descriptor: { mediaType, digest, size }, diffId }
}

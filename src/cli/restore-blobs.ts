// Where a lost blob can be had again: from another packing of the same layer, from the layer's unpacked tree, and, where
// that is asked for, from the registry that an image's name says. What comes is stored only where it has the digest.

import { KauriError } from '../core/errors.ts'
import { layerTarBytes } from '../image/layer-tar.ts'
import { openImage } from '../image/open-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { chainIdsOf, type DiffId, hexOf } from '../oci/digest.ts'
import { type Compression, compressionOf } from '../oci/media-types.ts'
import type { Registries } from '../registry/registry.ts'
import type { LostBlob } from '../store/check-images.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { CommandContext } from './command.ts'
import { openStore } from './open-store.ts'
import { openTrees } from './open-trees.ts'

/** Tries all places for one blob. */
export type RestoreBlob = (lost: LostBlob) => Promise<boolean>

/** `registries` undefined: no network. */
export function blobRestorer(
  context: CommandContext,
  registries: Registries | undefined,
): RestoreBlob {
  const store = openStore(context)
  return async lost =>
    (await fromOtherPacking(store, lost, context.signal)) ||
    (await fromTree(context, store, lost)) ||
    (registries !== undefined && (await fromRegistries(store, lost, { registries, context })))
}

/** A layer that is lost, and what its image says of it. */
interface LostLayer {
  readonly descriptor: Descriptor
  readonly compression: Compression
  /** Those of the image up to this layer, which is the last. */
  readonly diffIds: readonly DiffId[]
}

async function lostLayers(store: DiskStore, lost: LostBlob): Promise<LostLayer[]> {
  const compression = compressionOf(lost.descriptor.mediaType)
  if (compression === undefined) return []
  const found: LostLayer[] = []
  for (const { descriptor } of lost.images.values()) {
    const image = await unlessBroken(() => openImage(store, descriptor))
    const at = image?.layers.findIndex(layer => layer.descriptor.digest === lost.descriptor.digest)
    if (image === undefined || at === undefined || at < 0) continue
    const diffIds = image.layers.slice(0, at + 1).map(({ diffId }) => diffId)
    found.push({ descriptor: lost.descriptor, compression, diffIds })
  }
  return found
}

async function fromOtherPacking(
  store: DiskStore,
  lost: LostBlob,
  signal: AbortSignal,
): Promise<boolean> {
  for (const layer of await lostLayers(store, lost)) {
    const diffId = layer.diffIds.at(-1)
    if (diffId === undefined) continue
    for (const { mediaType, digest, size } of store.findLayers(diffId)) {
      if (digest === lost.descriptor.digest) continue
      const descriptor = { mediaType, digest, size }
      const other = { descriptor, diffId, open: () => store.openBlob(descriptor) }
      if (await storeTar(store, layer, () => layerTarBytes(other, signal))) return true
    }
  }
  return false
}

/** Trees are packed as kauri packs them: layers of other makers come out otherwise, and are not stored. */
async function fromTree(
  context: CommandContext,
  store: DiskStore,
  lost: LostBlob,
): Promise<boolean> {
  if (process.getuid?.() !== 0) return false
  const layers = await lostLayers(store, lost)
  if (layers.length === 0) return false
  const { openSnapshotChange } = await import('../build/snapshot-change.ts')
  const { packTree } = await import('../layer/pack-tree.ts')
  const { snapshotId } = await import('../rootfs/rootfs.ts')
  const trees = await openTrees(context)
  for (const layer of layers) {
    const [top, below] = chainIdsOf(layer.diffIds).toReversed()
    if (top === undefined || (await trees.findSnapshot(snapshotId(hexOf(top)))) === undefined)
      continue
    for (const withoutRoot of [false, true]) {
      const isStored = await unlessBroken(async () => {
        using change = await openSnapshotChange(
          snapshotId(hexOf(top)),
          below === undefined ? undefined : snapshotId(hexOf(below)),
          trees,
        )
        const pack = () => packTree(change.source, { withoutRoot, signal: context.signal })
        return await storeTar(store, layer, pack)
      })
      if (isStored === true) return true
    }
  }
  return false
}

/** Packs a tar as the lost layer was; true where that gives the same bytes. */
async function storeTar(
  store: DiskStore,
  { descriptor, compression }: LostLayer,
  open: () => AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const { packLayer } = await import('../layer/pack-layer.ts')
  const { digest, size } = descriptor
  const stored = await unlessBroken(() =>
    packLayer(open(), {
      compression: { codec: compression },
      sink: packed => store.putBlob(packed, { expected: { digest, size } }),
    }),
  )
  return stored !== undefined
}

async function fromRegistries(
  store: DiskStore,
  { descriptor, images }: LostBlob,
  { registries, context }: { readonly registries: Registries; readonly context: CommandContext },
): Promise<boolean> {
  const { repositoryStore } = await import('../registry/repository-store.ts')
  const { digest, size, mediaType } = descriptor
  const { signal, emit } = context
  for (const { reference } of images.values()) {
    if (reference === undefined) continue
    const isStored = await unlessBroken(
      async () => {
        const remote = repositoryStore(registries.repository(reference), { signal })
        const source = await remote.openBlob(descriptor)
        await store.putBlob(source, { expected: { digest, size }, mediaType, signal })
        return true
      },
      message => emit({ kind: 'warning', message: `${digest} is not to be had: ${message}` }),
    )
    if (isStored === true) return true
  }
  return false
}

/** Undefined where it fails; what Ctrl-C ends, or a full disk, is thrown on. */
async function unlessBroken<T>(
  work: () => Promise<T>,
  tell: (message: string) => void = () => {},
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    if (error.code === 'CANCELLED' || error.code === 'DISK_FULL') throw error
    tell(error.message)
    return undefined
  }
}

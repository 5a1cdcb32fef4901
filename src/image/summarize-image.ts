// How large images are.

import type { DiskStore } from '../store/disk-store.ts'
import type { Image } from './image.ts'

/** Bytes of an image's layers: of their tars where those are known, else of the blobs. A layer counts once. */
export function imageSize(store: DiskStore, { layers }: Image): number {
  const sizes = new Map(layers.map(layer => [layer.diffId, layerSize(store, layer)]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** Bytes of one layer's tar where it is known, else of its blob. */
export function layerSize(store: DiskStore, layer: Image['layers'][number]): number {
  return store.findLayers(layer.diffId)[0]?.tarBytes ?? layer.descriptor.size
}

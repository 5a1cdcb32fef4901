// What lists and inspections say about a stored image.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { StoredImage } from '../store/layout-reader.ts'
import type { Image } from './image.ts'
import { openImage } from './open-image.ts'

/** A stored image, opened where that is possible; a damaged one is listed all the same. */
export interface ListedImage extends StoredImage {
  readonly image: Image | undefined
}

/** Every image of the store, newest first; equal ones by name. */
export async function listOpenImages(store: DiskStore): Promise<ListedImage[]> {
  const listed: ListedImage[] = []
  for (const stored of await store.listEntries())
    listed.push({ ...stored, image: await openIfWhole(store, stored.descriptor) })
  return listed.toSorted((a, b) => createdMs(b) - createdMs(a))
}

async function openIfWhole(store: DiskStore, descriptor: Descriptor): Promise<Image | undefined> {
  try {
    return await openImage(store, descriptor)
  } catch (error) {
    if (error instanceof KauriError) return undefined
    throw error
  }
}

function createdMs({ image }: ListedImage): number {
  const time = Date.parse(image?.config.created ?? '')
  return Number.isNaN(time) ? 0 : time
}

/** Bytes of an image's layers: of their tars where those are known, else of the blobs. A layer counts once. */
export function imageSize(store: DiskStore, { layers }: Image): number {
  const sizes = new Map(layers.map(layer => [layer.diffId, layerSize(store, layer)]))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}

/** Bytes of one layer's tar where it is known, else of its blob. */
export function layerSize(store: DiskStore, layer: Image['layers'][number]): number {
  return store.findLayers(layer.diffId)[0]?.tarBytes ?? layer.descriptor.size
}

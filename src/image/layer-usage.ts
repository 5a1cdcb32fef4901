// What each layer of an image adds, what it hides of those below, and what of it a later one hides.

import type { HistoryEntry } from '../oci/image-config.ts'
import type { Image } from './image.ts'
import { applyListing, type ImageTree, type ListedFile, listLayer } from './layer-listing.ts'

export interface LayerUsage {
  readonly diffId: string
  /** From the history; '' where it does not say. */
  readonly createdBy: string
  readonly added: number
  readonly changed: number
  readonly removed: number
  readonly addedBytes: number
  /** Bytes of files of the layers below that this one replaces or removes. */
  readonly hiddenBytes: number
  /** Bytes of this layer that a later one hides: stored and pulled, and never seen. */
  readonly wastedBytes: number
}

export interface WastedFile {
  readonly path: string
  readonly bytes: number
  /** Layers from 0, bottom first. */
  readonly writtenBy: number
  readonly hiddenBy: number
}

export interface ImageUsage {
  readonly layers: readonly LayerUsage[]
  /** Largest first. */
  readonly wasted: readonly WastedFile[]
}

/** Reads every layer once. @throws BLOB_CORRUPT, ARCHIVE_INVALID */
export async function measureLayers(image: Image, signal?: AbortSignal): Promise<ImageUsage> {
  const tree: ImageTree = new Map()
  const writers = new Map<ListedFile, number>()
  const layers: Omit<LayerUsage, 'wastedBytes'>[] = []
  const wasted: WastedFile[] = []
  const makers = layerMakers(image.config.history ?? [])
  for (const [index, layer] of image.layers.entries()) {
    const listing = await listLayer(layer, { signal })
    for (const file of listing.files) writers.set(file, index)
    const { hidden, ...counts } = applyListing(tree, listing)
    for (const file of hidden) {
      const writtenBy = writers.get(file) ?? 0
      wasted.push({ path: `/${file.path}`, bytes: file.sizeBytes, writtenBy, hiddenBy: index })
      writers.delete(file)
    }
    const { diffId } = layer
    layers.push({ diffId, createdBy: makers[index] ?? '', ...counts, hiddenBytes: bytesOf(hidden) })
  }
  return {
    layers: layers.map((layer, index) => ({
      ...layer,
      wastedBytes: wasted
        .filter(({ writtenBy }) => writtenBy === index)
        .reduce((sum, { bytes }) => sum + bytes, 0),
    })),
    wasted: wasted.toSorted((a, b) => b.bytes - a.bytes),
  }
}

/** What made each layer, bottom first. */
function layerMakers(history: readonly HistoryEntry[]): string[] {
  return history.filter(entry => !entry.empty_layer).map(entry => entry.created_by ?? '')
}

function bytesOf(files: readonly ListedFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

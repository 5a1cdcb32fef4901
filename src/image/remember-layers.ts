// Learns anew what is known of layers beside their blobs: which diff ID each of them unpacks to, and how long its tar is.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { Image } from './image.ts'
import { layerTarBytes } from './layer-tar.ts'
import { openImage } from './open-image.ts'
import { manifestsOf, unlessBroken } from './stored-manifests.ts'

export interface RememberedLayers {
  /** Layers that have a record now. */
  readonly layers: number
  /** What is wrong with images whose layers are not what their configurations say. */
  readonly faults: readonly { readonly digest: string; readonly message: string }[]
}

/** Reads each layer of each image; damaged images are passed over. @throws CANCELLED, DISK_FULL */
export async function rememberLayers(
  store: DiskStore,
  images: readonly Descriptor[],
  signal: AbortSignal,
): Promise<RememberedLayers> {
  const done = new Set<string>()
  const faults: { digest: string; message: string }[] = []
  let layers = 0
  for (const descriptor of await manifestsOf(store, images))
    for (const layer of (await unlessBroken(() => openImage(store, descriptor)))?.layers ?? []) {
      const pair = `${layer.diffId} ${layer.descriptor.digest}`
      if (done.has(pair)) continue
      done.add(pair)
      const fault = await rememberLayer(store, layer, signal)
      if (fault === undefined) layers++
      else if (fault.code === 'BLOB_CORRUPT')
        faults.push({ digest: descriptor.digest, message: fault.message })
    }
  return { layers, faults }
}

async function rememberLayer(
  store: DiskStore,
  layer: Image['layers'][number],
  signal: AbortSignal,
): Promise<KauriError | undefined> {
  const { descriptor, diffId } = layer
  try {
    let tarBytes = 0
    for await (const chunk of layerTarBytes(layer, signal)) tarBytes += chunk.byteLength
    await store.rememberLayer({ ...descriptor, diffId, tarBytes })
    return undefined
  } catch (error) {
    if (!(error instanceof KauriError) || error.code === 'CANCELLED' || error.code === 'DISK_FULL')
      throw error
    return error
  }
}

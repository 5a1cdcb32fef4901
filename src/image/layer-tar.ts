// The plain tar of a stored layer: its length, which archives want to know first, and its bytes, checked against the
// diff ID while they pass.

import { KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { createDigester } from '../oci/digest.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { type ArchiveFile, blobName } from './archive-entry.ts'
import type { Layer } from './image.ts'
import { toldTarLength } from './told-tar-length.ts'

export interface LayerTar {
  readonly tarBytes: number
  /** The tar as a file of an archive, named by its diff ID. */
  readonly file: ArchiveFile
}

/** The uncompressed bytes of a layer. @throws BLOB_CORRUPT where they are not what the diff ID names, BLOB_NOT_FOUND */
export async function* layerTarBytes(
  layer: Layer,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const source = await layer.open()
  try {
    const { bytes } = await decompress(source, { signal, name: `layer ${layer.descriptor.digest}` })
    const digester = createDigester()
    for await (const chunk of bytes) {
      digester.update(chunk)
      yield chunk
    }
    const actual = digester.digest()
    if (actual !== layer.diffId)
      throw new KauriError(
        'BLOB_CORRUPT',
        `the layer ${layer.descriptor.digest} unpacks to ${actual}, its image says ${layer.diffId}`,
      )
  } finally {
    source.destroy()
  }
}

/** Finds the length in the store's records or the layer's seek table; reads the layer once where nobody remembered it. */
export async function tarOfLayer(
  store: DiskStore,
  layer: Layer,
  signal?: AbortSignal,
): Promise<LayerTar> {
  const tarBytes = await tarBytesOf(store, layer, signal)
  const open = (): AsyncIterable<Uint8Array> => layerTarBytes(layer, signal)
  return { tarBytes, file: { name: blobName(layer.diffId), size: tarBytes, open } }
}

/** Bytes of a layer's tar. */
export async function tarBytesOf(
  store: DiskStore,
  layer: Layer,
  signal?: AbortSignal,
): Promise<number> {
  const [known] = store.findLayers(layer.diffId)
  if (known !== undefined) return known.tarBytes
  const told = await toldTarLength(store.blobPath(layer.descriptor.digest), layer.descriptor)
  if (told !== undefined) return told
  let tarBytes = 0
  for await (const chunk of layerTarBytes(layer, signal)) tarBytes += chunk.byteLength
  await store.rememberLayer({ ...layer.descriptor, diffId: layer.diffId, tarBytes })
  return tarBytes
}

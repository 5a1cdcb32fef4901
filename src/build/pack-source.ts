// Packs a tree or a change into a batch of the store: one pass that reads, hashes, packs and writes.

import type { Emit } from '../core/events.ts'
import type { DockerArchiveFile } from '../image/docker-archive-file.ts'
import type { LayerCompression, PackOptions, PackSource } from '../layer/layer.ts'
import { packLayer } from '../layer/pack-layer.ts'
import { packTree } from '../layer/pack-tree.ts'
import { layerMediaType } from '../oci/media-types.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import type { LayerRecord } from '../store/layer-records.ts'

export interface PackWork {
  /** Takes the blobs; stays open until the image has its names, so that none of them is collected. */
  readonly batch: BlobBatch
  /** An archive that takes the tars as they pass, so that nobody unpacks them again. */
  readonly openArchive?: (() => Promise<DockerArchiveFile | undefined>) | undefined
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

export interface PackSourceOptions
  extends Pick<PackOptions, 'setMtime' | 'clampMtime' | 'withoutRoot' | 'exclude'> {
  readonly compression: LayerCompression
  /** Told how many bytes passed. */
  readonly onBytes?: (count: number) => void
}

/** @throws DISK_FULL, CANCELLED, UNSUPPORTED */
export async function packSource(
  source: PackSource,
  { compression, onBytes, ...options }: PackSourceOptions,
  { batch, openArchive, signal, emit }: PackWork,
): Promise<LayerRecord> {
  const slot = (await openArchive?.())?.startLayer()
  const tar = packTree(source, { ...options, reuseChunks: true, signal, emit })
  const packed = await packLayer(tar, {
    compression,
    sink: bytes => batch.put(bytes, { signal }),
    tee: async chunk => {
      onBytes?.(chunk.byteLength)
      await slot?.write(chunk)
    },
    signal,
  })
  await slot?.finish(packed)
  const { diffId, digest, tarBytes, packedBytes: size } = packed
  return { diffId, digest, size, tarBytes, mediaType: layerMediaType(packed.compression) }
}

// One layer of an archive on its way into the store. A compressed layer stays as it came, so that its digest does; a plain
// one is packed, unless the store has it packed already.

import { KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { defaultArchiveLimits } from '../layer/layer.ts'
import { packLayer } from '../layer/pack-layer.ts'
import { asDiffId, createDigester, type DiffId, type Digest } from '../oci/digest.ts'
import { layerMediaType, mediaTypes } from '../oci/media-types.ts'
import type { LayerRecord } from '../store/layer-records.ts'
import type { StoredBlob } from '../store/store.ts'
import { noImageArchive } from './archive-contents.ts'
import { checkTarWhilePassing } from './check-tar.ts'
import type { LayerOfImage } from './create-image.ts'
import type { LoadWork } from './load-archive.ts'

/** A file that another one names. @throws ARCHIVE_INVALID where the archive has not got it */
export function requireFile({ contents }: LoadWork, name: string, namedBy: string): StoredBlob {
  const file = contents.find(name)
  if (file === undefined) throw noImageArchive(`${namedBy} names ${name}, which is not there`)
  return file
}

/**
 * Reads a layer's file, checks that it is a tar, and leaves it packed in the batch.
 * @throws CHECKSUM_MISMATCH where the tar is not the one that `expected` names, ARCHIVE_INVALID
 */
export async function loadLayer(
  file: StoredBlob & { readonly name: string },
  work: LoadWork,
  expected?: DiffId,
): Promise<LayerOfImage> {
  const { batch, contents, signal, limits = defaultArchiveLimits } = work
  const { name, digest, size } = file
  const blob = await contents.blobs.openBlob({ mediaType: mediaTypes.layerTar, digest, size })
  const { format, bytes } = await decompress(blob, { limits, signal, name })
  const tar = checkTarWhilePassing(bytes, { name, limits })
  if (format === 'gzip' || format === 'zstd') {
    const measured = await measureTar(tar)
    requireDiffId(name, expected, measured.diffId)
    return await remember(work, { mediaType: layerMediaType(format), digest, size, ...measured })
  }
  if (format === 'none') {
    // The file was hashed when it came, and it is the tar itself.
    requireDiffId(name, expected, digest)
    const known = await findPacked(work, asDiffId(digest))
    if (known !== undefined) {
      blob.destroy()
      return known
    }
  }
  const { packedBytes, tarBytes, ...packed } = await packLayer(tar, {
    compression: { codec: 'zstd' },
    sink: chunks => batch.put(chunks, { signal }),
    signal,
  })
  requireDiffId(name, expected, packed.diffId)
  const { diffId } = packed
  const descriptor = { mediaType: layerMediaType('zstd'), digest: packed.digest, size: packedBytes }
  return await remember(work, { ...descriptor, diffId, tarBytes })
}

async function remember({ store }: LoadWork, record: LayerRecord): Promise<LayerOfImage> {
  await store.rememberLayer(record)
  return layerOf(record)
}

function layerOf({ mediaType, digest, size, diffId }: LayerRecord): LayerOfImage {
  return { descriptor: { mediaType, digest, size }, diffId }
}

async function findPacked({ store }: LoadWork, diffId: DiffId): Promise<LayerOfImage | undefined> {
  const known = store.findLayers(diffId).find(({ mediaType }) => mediaType === mediaTypes.layerZstd)
  return known !== undefined && (await store.hasBlob(known.digest)) ? layerOf(known) : undefined
}

async function measureTar(
  tar: AsyncIterable<Uint8Array>,
): Promise<Pick<LayerRecord, 'diffId' | 'tarBytes'>> {
  const digester = createDigester()
  let tarBytes = 0
  for await (const chunk of tar) {
    digester.update(chunk)
    tarBytes += chunk.byteLength
  }
  return { diffId: asDiffId(digester.digest()), tarBytes }
}

function requireDiffId(name: string, wanted: DiffId | undefined, actual: Digest): void {
  if (wanted !== undefined && actual !== wanted)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `the layer ${name} unpacks to ${actual}, the configuration says ${wanted}`,
    )
}

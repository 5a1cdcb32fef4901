// The same image for who cannot read it as it is: layers packed another way, documents with docker's media types. The
// configuration and the layers' tars stay what they are; a layer that was packed so before is not packed again.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import { packLayer } from '../layer/pack-layer.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { isIndexType, parseIndex } from '../oci/manifest.ts'
import { type Compression, compressionOf, layerMediaType, mediaTypes } from '../oci/media-types.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { oneChunk } from './create-image.ts'
import type { Layer } from './image.ts'
import { layerTarBytes } from './layer-tar.ts'
import { openImage } from './open-image.ts'

/** What is left out stays as it is. */
export interface Conversion {
  readonly compression?: Compression | undefined
  readonly format?: 'oci' | 'docker' | undefined
}

export interface ConvertOptions {
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
}

/**
 * Stores the converted image, without a name; the descriptor given where nothing is to be changed. Of an index every image
 * that is stored is converted.
 * @throws USAGE for zstd in docker's format, UNSUPPORTED for what is no image, BLOB_NOT_FOUND, BLOB_CORRUPT, DISK_FULL
 */
export async function convertImage(
  store: DiskStore,
  descriptor: Descriptor,
  conversion: Conversion,
  options: ConvertOptions,
): Promise<Descriptor> {
  const { compression, format } = conversion
  if (compression === undefined && format === undefined) return descriptor
  if (compression === 'zstd' && format === 'docker')
    throw new KauriError('USAGE', "docker's image format knows no zstd", {
      hint: 'use --format oci, or --compression gzip',
    })
  if (isIndexType(descriptor.mediaType))
    return await convertIndex(store, descriptor, conversion, options)
  return await convertOne(store, descriptor, conversion, options)
}

async function convertOne(
  store: DiskStore,
  descriptor: Descriptor,
  conversion: Conversion,
  options: ConvertOptions,
): Promise<Descriptor> {
  const { manifest, layers } = await openImage(store, descriptor)
  const isDocker = conversion.format === 'docker'
  const converted: Descriptor[] = []
  for (const layer of layers) converted.push(await convertLayer(store, layer, conversion, options))
  const { annotations, config } = manifest
  return await putDocument(store, isDocker ? mediaTypes.dockerManifest : mediaTypes.manifest, {
    config: { ...config, mediaType: isDocker ? mediaTypes.dockerConfig : mediaTypes.config },
    layers: converted,
    // Docker's form has no place for them.
    ...(annotations === undefined || isDocker ? {} : { annotations }),
  })
}

async function convertIndex(
  store: DiskStore,
  descriptor: Descriptor,
  conversion: Conversion,
  options: ConvertOptions,
): Promise<Descriptor> {
  const index = parseIndex(await readBlob(store, descriptor), `index ${descriptor.digest}`)
  const manifests: Descriptor[] = []
  for (const entry of index.manifests) {
    if (entry.platform?.os === 'unknown') {
      // It speaks of an image that the converted index has not.
      const message = `the attestation ${entry.digest} is left out: its image is converted`
      options.emit({ kind: 'warning', message })
    } else if (await store.hasBlob(entry.digest)) {
      const { mediaType, digest, size } = await convertOne(store, entry, conversion, options)
      manifests.push({ ...entry, mediaType, digest, size })
    } else
      throw new KauriError(
        'BLOB_NOT_FOUND',
        `the image ${entry.digest} of the index is not stored`,
        {
          hint: 'get it with kauri pull --all-platforms, or choose one with --platform',
        },
      )
  }
  const isDocker = conversion.format === 'docker'
  const { annotations } = index
  return await putDocument(store, isDocker ? mediaTypes.dockerIndex : mediaTypes.index, {
    manifests,
    ...(annotations === undefined || isDocker ? {} : { annotations }),
  })
}

async function convertLayer(
  store: DiskStore,
  layer: Layer,
  { compression, format }: Conversion,
  options: ConvertOptions,
): Promise<Descriptor> {
  const { descriptor } = layer
  const now = compressionOf(descriptor.mediaType)
  if (now === undefined)
    throw new KauriError('UNSUPPORTED', `${descriptor.mediaType} is no layer of a root`)
  const wanted = compression ?? (format === 'docker' && now === 'zstd' ? 'gzip' : now)
  const { digest, size } = now === wanted ? descriptor : await repack(store, layer, wanted, options)
  const { annotations } = descriptor
  return {
    mediaType: format === 'docker' ? dockerLayerType(wanted) : layerMediaType(wanted),
    digest,
    size,
    ...(annotations === undefined || now !== wanted ? {} : { annotations }),
  }
}

function dockerLayerType(compression: Compression): string {
  return compression === 'none' ? mediaTypes.dockerLayerTar : mediaTypes.dockerLayerGzip
}

/** Finds the layer packed so, or packs it and remembers that. */
async function repack(
  store: DiskStore,
  layer: Layer,
  compression: Compression,
  { emit, signal }: ConvertOptions,
): Promise<Pick<Descriptor, 'digest' | 'size'>> {
  const { diffId, descriptor } = layer
  const mediaType = layerMediaType(compression)
  const known = store.findLayers(diffId).find(record => record.mediaType === mediaType)
  if (known !== undefined && (await store.hasBlob(known.digest))) return known
  const step = { id: `pack ${descriptor.digest}`, title: `pack ${descriptor.digest.slice(7, 19)}` }
  return await inStep(emit, step, async () => {
    const { digest, packedBytes, tarBytes } = await packLayer(layerTarBytes(layer, signal), {
      compression: { codec: compression },
      sink: packed => store.putBlob(packed, { signal }),
      signal,
    })
    const packed = { mediaType, digest, size: packedBytes }
    await store.rememberLayer({ ...packed, diffId, tarBytes })
    return packed
  })
}

async function putDocument(
  store: DiskStore,
  mediaType: string,
  members: object,
): Promise<Descriptor> {
  const bytes = Buffer.from(canonicalJson({ schemaVersion: 2, mediaType, ...members }))
  const expected = { digest: digestOf(bytes), size: bytes.byteLength }
  await store.putBlob(oneChunk(bytes), { expected })
  return { mediaType, ...expected }
}

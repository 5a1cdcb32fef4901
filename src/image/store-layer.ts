// A layer from outside on its way into the store: decompressed, checked or unpacked, hashed, and kept as it came where
// registries take that form, in one pass whose memory does not grow with the layer.

import type { Emit } from '../core/events.ts'
import { applyWhilePassing } from '../layer/apply-tar.ts'
import { decompress } from '../layer/decompress.ts'
import { type ArchiveLimits, defaultArchiveLimits } from '../layer/layer.ts'
import { packLayer } from '../layer/pack-layer.ts'
import { asDiffId, createDigester, type Digest } from '../oci/digest.ts'
import { layerMediaType } from '../oci/media-types.ts'
import { type BlobBatch, checkExpected } from '../store/blob-batch.ts'
import type { LayerRecord } from '../store/layer-records.ts'
import type { StoredBlob } from '../store/store.ts'
import { checkTarWhilePassing } from './check-tar.ts'
import { tapped } from './tap.ts'

/** An archive as it arrives. */
export interface LayerSource {
  readonly bytes: AsyncIterable<Uint8Array>
  /** What messages call it. */
  readonly name: string
  /** Undefined where nobody knows before the end. */
  readonly totalBytes?: number | undefined
  /** Called when nobody keeps a chunk beyond the time in which the next one is asked for. */
  readonly reuseBuffers?: () => void
}

export interface LayerOptions {
  /** Of the input's bytes as they arrive. */
  readonly checksum?: Digest | undefined
  /** A tree that the layer is unpacked onto on the way; undefined: it is only checked. */
  readonly rootFd?: number | undefined
  readonly limits?: ArchiveLimits | undefined
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

/**
 * Puts a layer into a batch, to be committed by the caller.
 * @throws ARCHIVE_INVALID for what is no tar or a hostile one, CHECKSUM_MISMATCH, DISK_FULL
 */
export async function storeLayerTar(
  batch: BlobBatch,
  source: LayerSource,
  options: LayerOptions,
): Promise<LayerRecord> {
  const { limits = defaultArchiveLimits, signal, checksum } = options
  using input = receiveInput(batch, source.bytes, checksum)
  const { format, bytes } = await decompress(input.bytes, { limits, signal, name: source.name })
  const tar = unpacking(bytes, { ...options, name: source.name, limits })
  if (format !== 'gzip' && format !== 'zstd') {
    input.stopKeeping()
    // Unpacking is done and packing has copied the bytes before they ask for more; a decompressor may look at them later.
    if (format === 'none') source.reuseBuffers?.()
    const packed = await packTar(batch, tar, signal)
    input.requireChecksum()
    return packed
  }
  const { digest, size: tarBytes } = await measure(tar)
  input.requireChecksum()
  const mediaType = layerMediaType(format)
  return { diffId: asDiffId(digest), mediaType, ...input.finishKept(), tarBytes }
}

function unpacking(
  tar: AsyncIterable<Uint8Array>,
  options: LayerOptions & { readonly name: string; readonly limits: ArchiveLimits },
): AsyncIterable<Uint8Array> {
  const { rootFd, name, limits, signal, emit } = options
  if (rootFd === undefined) return checkTarWhilePassing(tar, { name, limits })
  const fixed = { whiteouts: 'delete', ownership: 'archive' } as const
  return applyWhilePassing(tar, rootFd, { ...fixed, name, limits, signal, emit })
}

async function packTar(
  batch: BlobBatch,
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<LayerRecord> {
  const { diffId, digest, packedBytes, tarBytes } = await packLayer(tar, {
    compression: { codec: 'zstd' },
    sink: chunks => batch.put(chunks, { signal }),
    signal,
  })
  return { diffId, mediaType: layerMediaType('zstd'), digest, size: packedBytes, tarBytes }
}

/** The input on its way: hashed where somebody knows its checksum, and written down until it is known to be repacked. */
interface ReceivedInput extends Disposable {
  readonly bytes: AsyncIterable<Uint8Array>
  stopKeeping(): void
  finishKept(): StoredBlob
  /** @throws CHECKSUM_MISMATCH; call it when all bytes have passed */
  requireChecksum(): void
}

function receiveInput(
  batch: BlobBatch,
  source: AsyncIterable<Uint8Array>,
  checksum: Digest | undefined,
): ReceivedInput {
  const writer = batch.create()
  const digester = checksum === undefined ? undefined : createDigester()
  let isKept = true
  let size = 0
  return {
    bytes: tapped(source, chunk => {
      size += chunk.byteLength
      digester?.update(chunk)
      if (isKept) writer.write(chunk)
    }),
    stopKeeping() {
      isKept = false
      writer[Symbol.dispose]()
    },
    finishKept: () => writer.finish(),
    requireChecksum() {
      if (digester !== undefined && checksum !== undefined)
        checkExpected({ digest: digester.digest(), size }, { digest: checksum })
    },
    [Symbol.dispose]: () => writer[Symbol.dispose](),
  }
}

async function measure(tar: AsyncIterable<Uint8Array>): Promise<StoredBlob> {
  const digester = createDigester()
  let size = 0
  for await (const chunk of tar) {
    digester.update(chunk)
    size += chunk.byteLength
  }
  return { digest: digester.digest(), size }
}

// A root file system tar becomes an image in one pass: the bytes are unpacked onto a tree, hashed and stored while they
// arrive, and memory does not grow with the archive. gzip and zstd blobs are kept as they came, so the layer's digest is
// that of the input; anything else is packed with zstd.

import { asDiskFull } from '../core/atomic-file.ts'
import { type Emit, inStep } from '../core/events.ts'
import { cancelled } from '../core/process.ts'
import { applyWhilePassing } from '../layer/apply-tar.ts'
import { decompress } from '../layer/decompress.ts'
import { type ArchiveLimits, defaultArchiveLimits } from '../layer/layer.ts'
import { packLayer } from '../layer/pack-layer.ts'
import { asDiffId, type ChainId, chainIdsOf, createDigester, type Digest } from '../oci/digest.ts'
import type { RunConfig } from '../oci/image-config.ts'
import { layerMediaType } from '../oci/media-types.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import { type BlobBatch, checkExpected } from '../store/blob-batch.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { LayerRecord } from '../store/layer-records.ts'
import type { StoredBlob } from '../store/store.ts'
import { checkTarWhilePassing } from './check-tar.ts'
import { createImage } from './create-image.ts'
import type { Image } from './image.ts'
import { tapped } from './tap.ts'

/** A fresh, empty tree that the archive is unpacked onto, so that the first container needs no unpacking. */
export interface ImportTree extends AsyncDisposable {
  readonly rootFd: number
  /** Keeps the tree as the snapshot of that chain of layers; without it the tree is dropped. */
  keep(chainId: ChainId): Promise<void>
}

/** An archive as it arrives. */
export interface ImportSource {
  readonly bytes: AsyncIterable<Uint8Array>
  /** What messages call it. */
  readonly name: string
  /** Undefined where nobody knows before the end. */
  readonly totalBytes?: number | undefined
  /** Called when nobody keeps a chunk beyond the time in which the next one is asked for. */
  readonly reuseBuffers?: () => void
}

export interface ImportOptions {
  /** What a container of the image does. */
  readonly config: RunConfig
  readonly platform: Platform
  /** Of the one history entry. */
  readonly message: string
  /** RFC 3339. */
  readonly created: string
  /** Undefined: the image is kept without a name. */
  readonly reference: Reference | undefined
  /** Of the input's bytes as they arrive. */
  readonly checksum?: Digest | undefined
  /** Undefined: the archive is checked but not unpacked, as without root rights. */
  readonly openTree?: (() => Promise<ImportTree>) | undefined
  readonly limits?: ArchiveLimits
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

/**
 * Imports an archive; all or nothing.
 * @throws ARCHIVE_INVALID for what is no tar or a hostile one, CHECKSUM_MISMATCH, DISK_FULL, CANCELLED
 */
export async function importImage(
  store: DiskStore,
  source: ImportSource,
  options: ImportOptions,
): Promise<Image> {
  const { emit, signal } = options
  using batch = store.openBatch()
  await using tree = await options.openTree?.()
  const layer = await inStep(emit, { id: 'import', title: `import ${source.name}` }, async () => {
    try {
      const input = withProgress(source, emit)
      return await storeLayer(batch, input, { ...options, rootFd: tree?.rootFd })
    } catch (error) {
      if (signal?.aborted) throw cancelled(signal)
      throw asDiskFull(error, `the image of ${source.name}`)
    }
  })
  await inStep(emit, { id: 'import-store', title: 'store the image' }, async () => {
    await batch.commit({ signal })
    await store.rememberLayer(layer)
    await keepTree(tree, layer)
  })
  const { diffId, mediaType, digest, size } = layer
  const image = await createImage(store, {
    config: {
      ...options.platform,
      created: options.created,
      config: options.config,
      history: [{ created: options.created, comment: options.message }],
    },
    layers: [{ descriptor: { mediaType, digest, size }, diffId }],
  })
  signal?.throwIfAborted()
  if (options.reference === undefined) await store.keepImage(image.descriptor)
  else await store.tagImage(options.reference, image.descriptor)
  return image
}

async function keepTree(tree: ImportTree | undefined, { diffId }: LayerRecord): Promise<void> {
  const [chainId] = chainIdsOf([diffId])
  if (chainId !== undefined) await tree?.keep(chainId)
}

function withProgress(source: ImportSource, emit: Emit): ImportSource {
  let done = 0
  const tell = (chunk: Uint8Array): void => {
    done += chunk.byteLength
    emit({ kind: 'step-progress', id: 'import', done, total: source.totalBytes, unit: 'bytes' })
  }
  return { ...source, bytes: tapped(source.bytes, tell) }
}

interface LayerOptions extends Pick<ImportOptions, 'checksum' | 'limits' | 'signal' | 'emit'> {
  readonly rootFd: number | undefined
}

async function storeLayer(
  batch: BlobBatch,
  source: ImportSource,
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

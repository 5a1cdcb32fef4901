// A root file system tar becomes an image in one pass: the bytes are unpacked onto a tree, hashed and stored while they
// arrive, and memory does not grow with the archive. gzip and zstd blobs are kept as they came, so the layer's digest is
// that of the input; anything else is packed with zstd.

import { asDiskFull } from '../core/atomic-file.ts'
import { type Emit, inStep } from '../core/events.ts'
import { cancelled } from '../core/process.ts'
import type { ArchiveLimits } from '../layer/layer.ts'
import { type ChainId, chainIdsOf, type Digest } from '../oci/digest.ts'
import type { RunConfig } from '../oci/image-config.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { LayerRecord } from '../store/layer-records.ts'
import { transferProgress } from '../store/transfer-progress.ts'
import { createImage } from './create-image.ts'
import type { Image } from './image.ts'
import { type LayerSource, storeLayerTar } from './store-layer.ts'
import { tapped } from './tap.ts'

/** A fresh, empty tree that the archive is unpacked onto, so that the first container needs no unpacking. */
export interface ImportTree extends AsyncDisposable {
  readonly rootFd: number
  /** Keeps the tree as the snapshot of that chain of layers; without it the tree is dropped. */
  keep(chainId: ChainId): Promise<void>
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
  source: LayerSource,
  options: ImportOptions,
): Promise<Image> {
  const { emit, signal } = options
  using batch = store.openBatch()
  await using tree = await options.openTree?.()
  const layer = await inStep(emit, { id: 'import', title: `import ${source.name}` }, async () => {
    try {
      const input = withProgress(source, emit)
      return await storeLayerTar(batch, input, { ...options, rootFd: tree?.rootFd })
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

function withProgress(source: LayerSource, emit: Emit): LayerSource {
  let done = 0
  const onProgress = transferProgress(emit, { id: 'import', total: source.totalBytes })
  const tell = (chunk: Uint8Array): void => {
    done += chunk.byteLength
    onProgress(done)
  }
  return { ...source, bytes: tapped(source.bytes, tell) }
}

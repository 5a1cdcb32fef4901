// Reads the image archives of docker (old and new), buildkit, podman and skopeo into the store. Layers that docker keeps
// as plain tars are packed; compressed ones stay as they came, so their digests stay, too.

import { statSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import type { ArchiveLimits } from '../layer/layer.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { planCopy } from '../store/plan-copy.ts'
import { tellChunks, transferProgress } from '../store/transfer-progress.ts'
import { wrongSize } from '../store/verified-stream.ts'
import { type ArchiveContents, noImageArchive, receiveArchive } from './archive-contents.ts'
import { readArchiveItems } from './archive-items.ts'

/** An image that was found in an archive, and the names it is to have. */
export interface LoadedImage {
  readonly descriptor: Descriptor
  readonly names: readonly Reference[]
  /** What an OCI layout calls it, as written: a tag alone, at times. */
  readonly labels?: readonly string[]
}

export interface LoadOptions {
  /** What messages call the archive. */
  readonly name: string
  /** Of images for several platforms only the one for this; the others of the archive are left alone. */
  readonly platform?: Platform | undefined
  /** Of the archive and of each layer in it; by default those that real ones stay below. */
  readonly limits?: ArchiveLimits | undefined
  /** Bytes of the archive as it is packed, where that is known. */
  readonly totalBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

/**
 * Loads every image of an archive; all or nothing.
 * @throws ARCHIVE_INVALID, BLOB_CORRUPT, CHECKSUM_MISMATCH, IMAGE_NOT_FOUND for a missing platform, DISK_FULL, CANCELLED
 */
export async function loadArchive(
  store: DiskStore,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<LoadedImage[]> {
  const { emit, limits, name, platform, signal, totalBytes: total } = options
  using batch = store.openBatch()
  const images = await inStep(emit, { id: 'load', title: `load ${name}` }, async () => {
    const told = tellChunks(source, transferProgress(emit, { id: 'load', total }))
    const contents = await receiveArchive(told, batch, store, { name, limits, signal })
    const work: LoadWork = { store, batch, contents, platform, limits, signal }
    const found = await readArchiveItems(work)
    if (found.length === 0) throw noImageArchive('it names no image')
    const needed = new Set<Digest>()
    for (const { descriptor } of found) await collectNeeded(work, descriptor, needed)
    await batch.commit({ only: needed, signal })
    return found
  })
  for (const image of images) await nameImage(store, image)
  return images
}

/** What reading the documents of an archive needs. */
export interface LoadWork {
  readonly store: DiskStore
  readonly batch: BlobBatch
  readonly contents: ArchiveContents
  /** Left out: all that the archive has. */
  readonly platform?: Platform | undefined
  /** Of each layer. */
  readonly limits?: ArchiveLimits | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Every blob of an image, whether it came now or was here; of an index that of one platform where one is asked for.
 * @throws ARCHIVE_INVALID where one is in neither place, BLOB_CORRUPT where it has another length than the image says
 */
async function collectNeeded(
  { store, batch, contents: { blobs }, platform, signal }: LoadWork,
  descriptor: Descriptor,
  needed: Set<Digest>,
): Promise<void> {
  const requireBlob = ({ digest, size }: Descriptor): void => {
    const found = batch.findPending(digest)?.stored.size ?? storedSize(store, digest)
    if (found === undefined)
      throw new KauriError('ARCHIVE_INVALID', `the archive lacks the blob ${digest}`)
    if (found !== size) throw wrongSize(digest, size, found)
  }
  requireBlob(descriptor)
  const {
    documents,
    configs,
    blobs: layers,
  } = await planCopy(blobs, descriptor, {
    platform,
    signal,
  })
  for (const blob of [...documents.map(document => document.descriptor), ...configs, ...layers]) {
    requireBlob(blob)
    needed.add(blob.digest)
    // Said to the store, so that garbage collection leaves alone what it had before.
    await blobs.hasBlob(blob.digest)
  }
}

/** Bytes of a blob that is stored. */
export function storedSize(store: DiskStore, digest: Digest): number | undefined {
  return statSync(store.blobPath(digest), { throwIfNoEntry: false })?.size
}

/** Gives an image its names, or keeps it without one. */
export async function nameImage(
  store: DiskStore,
  { descriptor, names }: LoadedImage,
): Promise<void> {
  if (names.length === 0) await store.keepImage(descriptor)
  for (const name of names) await store.tagImage(name, descriptor)
}

// Reads the image archives of docker (old and new), buildkit, podman and skopeo into the store. Layers that docker keeps
// as plain tars are packed; compressed ones stay as they came, so their digests stay, too.

import { KauriError } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import { childrenOf } from '../store/children.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BlobSource } from '../store/store.ts'
import { type ArchiveContents, noImageArchive, receiveArchive } from './archive-contents.ts'
import { readDockerItems } from './load-docker-items.ts'
import { readLayoutItems } from './load-layout-items.ts'

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
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
}

/** Loads every image of an archive; all or nothing. @throws ARCHIVE_INVALID, CHECKSUM_MISMATCH, DISK_FULL, CANCELLED */
export async function loadArchive(
  store: DiskStore,
  source: AsyncIterable<Uint8Array>,
  options: LoadOptions,
): Promise<LoadedImage[]> {
  const { emit, name, signal } = options
  using batch = store.openBatch()
  const images = await inStep(emit, { id: 'load', title: `load ${name}` }, async () => {
    const contents = await receiveArchive(source, batch, store, { name, signal })
    const found = await readItems({ store, batch, contents, signal })
    if (found.length === 0) throw noImageArchive('it names no image')
    const needed = new Set<Digest>()
    for (const { descriptor } of found) await collectNeeded(contents.blobs, descriptor, needed)
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
  readonly signal?: AbortSignal | undefined
}

/** manifest.json first: it has the whole names, and archives with both forms have a shortened one in index.json. */
async function readItems(work: LoadWork): Promise<LoadedImage[]> {
  if (work.contents.find('manifest.json') !== undefined) return await readDockerItems(work)
  if (work.contents.find('index.json') !== undefined) return await readLayoutItems(work.contents)
  throw noImageArchive('it has neither manifest.json nor index.json')
}

/** Every blob of an image, whether it came now or was here. @throws ARCHIVE_INVALID where one is in neither place */
async function collectNeeded(
  blobs: BlobSource,
  descriptor: Descriptor,
  needed: Set<Digest>,
): Promise<void> {
  if (needed.has(descriptor.digest)) return
  needed.add(descriptor.digest)
  for (const { descriptor: child, optional } of await childrenOf(blobs, descriptor)) {
    if (await blobs.hasBlob(child.digest)) await collectNeeded(blobs, child, needed)
    else if (!optional)
      throw new KauriError('ARCHIVE_INVALID', `the archive lacks the blob ${child.digest}`)
  }
}

/** Gives an image its names, or keeps it without one. */
export async function nameImage(
  store: DiskStore,
  { descriptor, names }: LoadedImage,
): Promise<void> {
  if (names.length === 0) await store.keepImage(descriptor)
  for (const name of names) await store.tagImage(name, descriptor)
}

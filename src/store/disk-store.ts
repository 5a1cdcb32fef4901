// The store on disk: an OCI image layout that skopeo, umoci and podman may use while kauri works. Its state is index.json
// and blobs/; a kill at any moment leaves nothing to repair.

import { createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'
import { type BlobBatch, openBlobBatch, useBlob } from './blob-batch.ts'
import { requireWhole } from './children.ts'
import { type Collected, type CollectOptions, collectGarbage } from './collect-garbage.ts'
import { answersTo, byReference, keptName, nameKey, requireSameDigest } from './image-names.ts'
import { type LayerRecord, readLayerRecords, writeLayerRecord } from './layer-records.ts'
import {
  changeLayoutEntries,
  type LayoutEntry,
  layoutEntry,
  readLayoutEntries,
} from './layout-index.ts'
import { blobPathIn, type LayoutPaths, layoutPaths, lockStore } from './layout-paths.ts'
import type { BlobSource, ImageStore, NamedImage, PutOptions, StoredBlob } from './store.ts'
import { verifiedStream, wrongSize } from './verified-stream.ts'

/** An image of the index; `reference` is undefined for one without a name. */
export interface StoredImage {
  readonly reference: Reference | undefined
  readonly descriptor: Descriptor
}

export interface DiskStore extends ImageStore {
  readonly root: string
  /** The file of a blob, whether it is there or not; for reading only. */
  blobPath(digest: Digest): string
  /** Several blobs in one commit. While it is open, garbage collection keeps every blob stored, or asked for by `hasBlob`, since. */
  openBatch(): BlobBatch
  /** Adds an image without a name; idempotent. The manifest and all it refers to are stored already. */
  keepImage(descriptor: Descriptor): Promise<void>
  /** Takes an image out of the index under all its names; true when it was there. */
  dropImage(digest: Digest): Promise<boolean>
  /** Named and unnamed images, in the index's order. */
  listEntries(): Promise<StoredImage[]>
  rememberLayer(record: LayerRecord): Promise<void>
  /** The packings known of a tar whose blobs are stored. */
  findLayers(diffId: DiffId): LayerRecord[]
  collectGarbage(options: CollectOptions): Promise<Collected>
}

/** The store in a directory; nothing is read or made before the first call. */
export function diskStore(root: string): DiskStore {
  const paths = layoutPaths(root)
  const blobs: BlobSource = {
    hasBlob: digest => useBlob(paths, digest),
    openBlob: descriptor => openBlob(paths, descriptor),
  }
  return {
    root,
    blobPath: digest => blobPathIn(paths, digest),
    ...blobs,
    openBatch: () => openBlobBatch(paths),
    putBlob: (source, options = {}) => putBlob(paths, source, options),
    ...imageNames(paths, blobs),
    rememberLayer: record => writeLayerRecord(paths, record),
    findLayers: diffId =>
      readLayerRecords(paths, diffId).filter(
        ({ digest, size }) =>
          statSync(blobPathIn(paths, digest), { throwIfNoEntry: false })?.size === size,
      ),
    collectGarbage: options => collectGarbage(blobs, paths, options),
  }
}

async function putBlob(
  paths: LayoutPaths,
  source: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<StoredBlob> {
  const { expected, signal } = options
  const there = expected === undefined ? undefined : await findBlob(paths, expected.digest)
  if (there !== undefined && there.size === (expected?.size ?? there.size)) return there
  using batch = openBlobBatch(paths)
  const stored = await batch.put(source, options)
  await batch.commit({ signal })
  return stored
}

async function findBlob(paths: LayoutPaths, digest: Digest): Promise<StoredBlob | undefined> {
  if (!(await useBlob(paths, digest))) return undefined
  const found = statSync(blobPathIn(paths, digest), { throwIfNoEntry: false })
  return found === undefined ? undefined : { digest, size: found.size }
}

async function openBlob(paths: LayoutPaths, descriptor: Descriptor): Promise<Readable> {
  const { digest, size } = descriptor
  const file = blobPathIn(paths, digest)
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined)
    throw new KauriError('BLOB_NOT_FOUND', `the blob ${digest} is not in ${paths.root}`)
  if (found.size !== size) throw wrongSize(digest, size, found.size)
  return verifiedStream(createReadStream(file, { highWaterMark: readChunkBytes }), descriptor)
}

const readChunkBytes = 512 * 1024

type ImageNames = Pick<
  DiskStore,
  'findImage' | 'tagImage' | 'untagImage' | 'listImages' | 'keepImage' | 'dropImage' | 'listEntries'
>

function imageNames(paths: LayoutPaths, blobs: BlobSource): ImageNames {
  const listEntries = async (): Promise<StoredImage[]> =>
    (await readLayoutEntries(paths)).map(storedImage).filter(image => image !== undefined)
  const listImages = async (): Promise<NamedImage[]> =>
    (await listEntries()).filter(isNamed).toSorted(byReference)
  return {
    listEntries,
    listImages,
    async findImage(reference) {
      return (await listImages()).find(image => answersTo(image, reference))?.descriptor
    },
    async tagImage(reference, descriptor) {
      requireSameDigest(reference, descriptor)
      const key = nameKey(reference)
      const entry = layoutEntry(descriptor, keptName(reference))
      using _ = await lockStore(paths.sweepLock, 'shared')
      await requireWhole(blobs, descriptor)
      await changeLayoutEntries(paths, entries => [
        ...entries.filter(
          other =>
            !hasName(other, key) &&
            (other.reference !== undefined || other.descriptor?.digest !== descriptor.digest),
        ),
        entry,
      ])
    },
    async untagImage(reference) {
      const key = nameKey(reference)
      return await changeLayoutEntries(paths, entries => without(entries, e => hasName(e, key)))
    },
    async keepImage(descriptor) {
      using _ = await lockStore(paths.sweepLock, 'shared')
      await requireWhole(blobs, descriptor)
      await changeLayoutEntries(paths, entries =>
        entries.some(entry => entry.descriptor?.digest === descriptor.digest)
          ? undefined
          : [...entries, layoutEntry(descriptor, undefined)],
      )
    },
    dropImage: digest =>
      changeLayoutEntries(paths, entries =>
        without(entries, entry => entry.descriptor?.digest === digest),
      ),
  }
}

/** The entries that stay, or undefined where none goes. */
function without(
  entries: readonly LayoutEntry[],
  goes: (entry: LayoutEntry) => boolean,
): readonly LayoutEntry[] | undefined {
  const staying = entries.filter(entry => !goes(entry))
  return staying.length === entries.length ? undefined : staying
}

function storedImage({ descriptor, reference }: LayoutEntry): StoredImage | undefined {
  return descriptor === undefined ? undefined : { descriptor, reference }
}

function isNamed(image: StoredImage): image is NamedImage {
  return image.reference !== undefined
}

function hasName({ reference }: LayoutEntry, key: string): boolean {
  return reference !== undefined && nameKey(reference) === key
}

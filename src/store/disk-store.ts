// The store on disk: an OCI image layout that skopeo, umoci and podman may use while kauri works. Its state is index.json
// and blobs/; a kill at any moment leaves nothing to repair.

import { statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import { type BlobBatch, openBlobBatch, useBlob, useBlobLocked } from './blob-batch.ts'
import { changeLayoutEntries, layoutEntry } from './change-index.ts'
import { requireWhole } from './children.ts'
import { type Collected, type CollectOptions, collectGarbage } from './collect-garbage.ts'
import { keptName, nameKey, requireFitting } from './image-names.ts'
import { type LayerRecord, readLayerRecords, writeLayerRecord } from './layer-records.ts'
import { type LayoutEntry, mayBeNamed, writtenName } from './layout-index.ts'
import { lockForUse } from './layout-lock.ts'
import { blobPathIn, type LayoutPaths, layoutPaths } from './layout-paths.ts'
import { type LayoutReader, layoutReader, type StoredImage } from './layout-reader.ts'
import type { BlobSource, ImageStore, PutOptions, StoredBlob } from './store.ts'

export interface DiskStore extends ImageStore, LayoutReader {
  readonly root: string
  /** The file of a blob, whether it is there or not; for reading only. */
  blobPath(digest: Digest): string
  /** Several blobs in one commit. While it is open, garbage collection keeps every blob stored, or asked for by `hasBlob`, since. */
  openBatch(): BlobBatch
  /** Adds an image without a name; idempotent. The manifest and all it refers to are stored already. */
  keepImage(descriptor: Descriptor): Promise<void>
  /** Takes an image out of the index under all its names; true when it was there. */
  dropImage(digest: Digest): Promise<boolean>
  /** Takes images out of the index under the names that are listed with them; what got another name meanwhile stays. */
  dropListed(images: readonly StoredImage[]): Promise<boolean>
  rememberLayer(record: LayerRecord): Promise<void>
  /** The packings known of a tar whose blobs are stored. */
  findLayers(diffId: DiffId): LayerRecord[]
  /** Forgets all packings; they are learnt again as layers are read. */
  forgetLayers(): Promise<void>
  collectGarbage(options: CollectOptions): Promise<Collected>
}

/** The store in a directory; nothing is read or made before the first call. */
export function diskStore(root: string): DiskStore {
  const paths = layoutPaths(root)
  const reader = layoutReader(root, paths)
  const blobs: BlobSource = { ...reader, hasBlob: digest => useBlob(paths, digest) }
  const held: BlobSource = { ...reader, hasBlob: async digest => useBlobLocked(paths, digest) }
  return {
    root,
    ...reader,
    ...blobs,
    takesLent: true,
    blobPath: digest => blobPathIn(paths, digest),
    openBatch: () => openBlobBatch(paths),
    putBlob: (source, options = {}) => putBlob(paths, source, options),
    ...imageNames(paths, held),
    rememberLayer: record => writeLayerRecord(paths, record),
    findLayers: diffId => findLayers(paths, diffId),
    forgetLayers: () => rm(paths.diffIds, { recursive: true, force: true }),
    collectGarbage: options => collectGarbage(blobs, paths, options),
  }
}

function findLayers(paths: LayoutPaths, diffId: DiffId): LayerRecord[] {
  return readLayerRecords(paths, diffId).filter(
    ({ digest, size }) => sizeOfBlob(paths, digest) === size,
  )
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

type ImageNames = Pick<
  DiskStore,
  'tagImage' | 'untagImage' | 'keepImage' | 'dropImage' | 'dropListed'
>

function sizeOfBlob(paths: LayoutPaths, digest: Digest): number | undefined {
  return statSync(blobPathIn(paths, digest), { throwIfNoEntry: false })?.size
}

/**
 * What is named is whole, and stays so while the name is written: no sweep runs between the two. `held` is for who holds
 * the lock that says so.
 */
function imageNames(paths: LayoutPaths, held: BlobSource): ImageNames {
  // Taken when it is this image's turn: those that wait for the index keep no sweep waiting.
  const holdWhole = async (descriptor: Descriptor): Promise<Disposable> => {
    using stack = new DisposableStack()
    stack.use(await lockForUse(paths))
    await requireWhole(held, descriptor, digest => sizeOfBlob(paths, digest))
    return stack.move()
  }
  return {
    async tagImage(reference, descriptor) {
      requireFitting(reference, descriptor)
      const key = nameKey(reference)
      const entry = layoutEntry(descriptor, keptName(reference))
      const change = (entries: readonly LayoutEntry[]): LayoutEntry[] => {
        const namesakes = new Set(mayBeNamed(entries, reference).filter(e => hasName(e, key)))
        const makesWay = (other: LayoutEntry): boolean =>
          namesakes.has(other) || isUnnamed(other, descriptor.digest)
        return [...entries.filter(other => !makesWay(other)), entry]
      }
      await changeLayoutEntries(paths, change, () => holdWhole(descriptor))
    },
    async untagImage(reference) {
      const key = nameKey(reference)
      return await changeLayoutEntries(paths, entries => {
        const namesakes = new Set(mayBeNamed(entries, reference).filter(e => hasName(e, key)))
        return without(entries, entry => namesakes.has(entry))
      })
    },
    async keepImage(descriptor) {
      const change = (entries: readonly LayoutEntry[]): LayoutEntry[] | undefined =>
        entries.some(entry => isOf(entry, descriptor.digest))
          ? undefined
          : [...entries, layoutEntry(descriptor, undefined)]
      await changeLayoutEntries(paths, change, () => holdWhole(descriptor))
    },
    dropImage: digest =>
      changeLayoutEntries(paths, entries => without(entries, entry => isOf(entry, digest))),
    dropListed(images) {
      const listed = new Set(images.map(listedKey))
      const isListed = ({ descriptor, reference }: LayoutEntry): boolean =>
        descriptor !== undefined && listed.has(listedKey({ descriptor, reference }))
      return changeLayoutEntries(paths, entries => without(entries, isListed))
    },
  }
}

function listedKey({ descriptor, reference }: StoredImage): string {
  return `${descriptor.digest} ${reference === undefined ? '' : nameKey(reference)}`
}

/** The entries that stay, or undefined where none goes. */
function without(
  entries: readonly LayoutEntry[],
  goes: (entry: LayoutEntry) => boolean,
): readonly LayoutEntry[] | undefined {
  const staying = entries.filter(entry => !goes(entry))
  return staying.length === entries.length ? undefined : staying
}

function hasName({ reference }: LayoutEntry, key: string): boolean {
  return reference !== undefined && nameKey(reference) === key
}

function isUnnamed(entry: LayoutEntry, digest: Digest): boolean {
  // A name that only another program understands is its name all the same.
  return isOf(entry, digest) && writtenName(entry) === undefined
}

/** In this order: what is written is compared before it is read. */
function isOf(entry: LayoutEntry, digest: Digest): boolean {
  return entry.raw['digest'] === digest && entry.descriptor !== undefined
}

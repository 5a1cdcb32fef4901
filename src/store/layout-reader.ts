// Reads a store and changes nothing: what commands need that only look images up and read them. Loads no more than that.

import { createReadStream, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'
import { answersTo, byReference } from './image-names.ts'
import { type LayoutEntry, mayBeNamed, readLayoutEntries } from './layout-index.ts'
import { blobPathIn, type LayoutPaths, layoutPaths } from './layout-paths.ts'
import type { BlobSource, ImageStore, NamedImage } from './store.ts'
import { requireDigest, verifiedStream, wrongSize } from './verified-stream.ts'
import { pieceBytes } from './write-pieces.ts'

/** An image of the index; `reference` is undefined for one without a name. */
export interface StoredImage {
  readonly reference: Reference | undefined
  readonly descriptor: Descriptor
}

export interface LayoutReader
  extends Pick<BlobSource, 'openBlob' | 'openLent' | 'openUnverified' | 'readWhole'>,
    Pick<ImageStore, 'findImage' | 'listImages'> {
  /** Named and unnamed images, in the index's order. */
  listEntries(): Promise<StoredImage[]>
  /** Every name of one image; the others are not read. */
  namesOf(digest: Digest): Promise<Reference[]>
}

/** The store in a directory; a directory that is not there is an empty store. `paths` are those of `root`. */
export function layoutReader(root: string, paths: LayoutPaths = layoutPaths(root)): LayoutReader {
  const listEntries = async (): Promise<StoredImage[]> =>
    storedImages(await readLayoutEntries(paths))
  const listImages = async (): Promise<NamedImage[]> =>
    (await listEntries()).filter(isNamed).toSorted(byReference)
  return {
    openBlob: descriptor => openBlob(paths, descriptor),
    openUnverified: async descriptor => openFile(paths, descriptor, sendChunkBytes),
    openLent: async descriptor => lentPieces(requireBlob(paths, descriptor)),
    readWhole: async descriptor => readWhole(paths, descriptor),
    listEntries,
    async namesOf(digest) {
      const entries = await readLayoutEntries(paths)
      return storedImages(entries.filter(({ raw }) => raw['digest'] === digest))
        .filter(isNamed)
        .toSorted(byReference)
        .map(({ reference }) => reference)
    },
    listImages,
    async findImage(reference) {
      const images = storedImages(mayBeNamed(await readLayoutEntries(paths), reference))
      return images.filter(isNamed).find(image => answersTo(image, reference))?.descriptor
    },
  }
}

const readChunkBytes = 512 * 1024
/** Several blobs are sent at once, and more in one piece is not faster. */
const sendChunkBytes = 128 * 1024

async function openBlob(paths: LayoutPaths, descriptor: Descriptor): Promise<Readable> {
  return verifiedStream(openFile(paths, descriptor, readChunkBytes), descriptor)
}

function openFile(paths: LayoutPaths, descriptor: Descriptor, highWaterMark: number): Readable {
  return createReadStream(requireBlob(paths, descriptor), { highWaterMark })
}

/** Two buffers take turns: one is read into while the caller has the other one. */
async function* lentPieces(file: string): AsyncGenerator<Uint8Array> {
  await using handle = await open(file, 'r')
  const [first, second] = [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)]
  let position = 0
  let free = second
  let reading = handle.read(first, 0, pieceBytes, 0)
  try {
    for (;;) {
      const { buffer, bytesRead } = await reading
      if (bytesRead === 0) return
      position += bytesRead
      reading = handle.read(free, 0, pieceBytes, position)
      // Whoever leaves does not wait for it.
      reading.catch(() => {})
      yield buffer.subarray(0, bytesRead)
      free = buffer
    }
  } finally {
    await reading.catch(() => {})
  }
}

/** Manifests and configurations: a stream would take some milliseconds of every start. */
function readWhole(paths: LayoutPaths, descriptor: Descriptor): Uint8Array {
  const bytes = readFileSync(requireBlob(paths, descriptor))
  requireDigest(descriptor.digest, digestOf(bytes))
  return bytes
}

/** The file of a blob that has the right length. */
function requireBlob(paths: LayoutPaths, { digest, size }: Descriptor): string {
  const file = blobPathIn(paths, digest)
  const found = statSync(file, { throwIfNoEntry: false })
  if (found === undefined)
    throw new KauriError('BLOB_NOT_FOUND', `the blob ${digest} is not in ${paths.root}`)
  if (found.size !== size) throw wrongSize(digest, size, found.size)
  return file
}

function storedImages(entries: readonly LayoutEntry[]): StoredImage[] {
  return entries.flatMap(entry => storedImage(entry) ?? [])
}

function storedImage(entry: LayoutEntry): StoredImage | undefined {
  const { descriptor } = entry
  if (descriptor === undefined) return undefined
  return {
    descriptor,
    // Not every caller looks at names, and reading one takes as long as reading a descriptor.
    get reference() {
      return entry.reference
    },
  }
}

function isNamed(image: StoredImage): image is NamedImage {
  return image.reference !== undefined
}

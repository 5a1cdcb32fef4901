// A store in memory: for tests, and for images that are never meant to last.

import { Readable } from 'node:stream'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { checkExpected } from './blob-batch.ts'
import { requireWhole } from './children.ts'
import { answersTo, byReference, keptName, nameKey, requireFitting } from './image-names.ts'
import type { BlobSource, ImageStore, NamedImage } from './store.ts'
import { verifiedStream, wrongSize } from './verified-stream.ts'

/** An empty store that lives as long as the process. */
export function memoryStore(): ImageStore {
  const blobs = new Map<Digest, Uint8Array>()
  const images = new Map<string, NamedImage>()
  const source = memoryBlobs(blobs)
  const list = (): NamedImage[] => [...images.values()].toSorted(byReference)
  return {
    ...source,
    async putBlob(chunks, { expected, signal } = {}) {
      const parts: Uint8Array[] = []
      for await (const chunk of chunks) {
        signal?.throwIfAborted()
        parts.push(Uint8Array.from(chunk))
      }
      const bytes = Buffer.concat(parts)
      const stored = { digest: digestOf(bytes), size: bytes.byteLength }
      checkExpected(stored, expected)
      blobs.set(stored.digest, bytes)
      return stored
    },
    findImage: async reference => list().find(image => answersTo(image, reference))?.descriptor,
    async tagImage(reference, descriptor) {
      requireFitting(reference, descriptor)
      await requireWhole(source, descriptor)
      images.set(nameKey(reference), { reference: keptName(reference), descriptor })
    },
    untagImage: async reference => images.delete(nameKey(reference)),
    listImages: async () => list(),
  }
}

function memoryBlobs(blobs: ReadonlyMap<Digest, Uint8Array>): BlobSource {
  return {
    hasBlob: async digest => blobs.has(digest),
    async openBlob(descriptor: Descriptor) {
      const bytes = blobs.get(descriptor.digest)
      if (bytes === undefined)
        throw new KauriError('BLOB_NOT_FOUND', `the blob ${descriptor.digest} is not stored`)
      if (bytes.byteLength !== descriptor.size)
        throw wrongSize(descriptor.digest, descriptor.size, bytes.byteLength)
      return verifiedStream(Readable.from([bytes]), descriptor)
    },
  }
}

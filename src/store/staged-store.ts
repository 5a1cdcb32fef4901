// A disk store whose new blobs become visible together: what is pulled is hashed as it comes, waits in one batch, and
// appears with its name. What was whole when something failed is kept for the next attempt, without a name.

import { createReadStream } from 'node:fs'
import type { Descriptor } from '../oci/descriptor.ts'
import type { BlobBatch } from './blob-batch.ts'
import type { DiskStore } from './disk-store.ts'
import type { BlobSource, ImageStore } from './store.ts'
import { verifiedStream, wrongSize } from './verified-stream.ts'

/** Disposing keeps finished blobs, as garbage that the next attempt finds, and ends the batch; idempotent. */
export interface StagedStore extends ImageStore, AsyncDisposable {
  /** Makes everything put so far durable and visible; `tagImage` does so, too. @throws DISK_FULL, LOCK_BUSY, CANCELLED */
  commit(signal?: AbortSignal): Promise<void>
}

/** Opens a batch over the store. */
export function stagedStore(store: DiskStore): StagedStore {
  const batch = store.openBatch()
  const commit = (signal?: AbortSignal): Promise<void> => batch.commit({ signal })
  return {
    ...pendingBlobs(batch, store),
    takesLent: true,
    async putBlob(source, options = {}) {
      const { expected } = options
      const pending = expected === undefined ? undefined : batch.findPending(expected.digest)
      return pending?.stored ?? (await batch.put(source, options))
    },
    findImage: reference => store.findImage(reference),
    async tagImage(reference, descriptor) {
      await commit()
      await store.tagImage(reference, descriptor)
    },
    untagImage: reference => store.untagImage(reference),
    listImages: () => store.listImages(),
    commit,
    async [Symbol.asyncDispose]() {
      // Verified bytes under their own names: nobody can see an image in them. What cannot be kept is asked for again, and
      // why the work failed is told already.
      await commit().catch(() => {})
      batch[Symbol.dispose]()
    },
  }
}

/** Blobs of a batch that nobody else sees yet, and those of the store. */
export function pendingBlobs(batch: BlobBatch, store: BlobSource): BlobSource {
  return {
    hasBlob: async digest =>
      batch.findPending(digest) !== undefined || (await store.hasBlob(digest)),
    async openBlob(descriptor: Descriptor) {
      const pending = batch.findPending(descriptor.digest)
      if (pending === undefined) return await store.openBlob(descriptor)
      if (pending.stored.size !== descriptor.size)
        throw wrongSize(descriptor.digest, descriptor.size, pending.stored.size)
      return verifiedStream(createReadStream(pending.file), descriptor)
    },
  }
}

// Moves an image from one store to another: push, pull, save and load are this one verb over different stores. Blobs that
// are there already stay where they are; documents follow what they refer to, so no half image is ever visible.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import { type Emit, ignoreEvents, inStep } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import { childrenOf } from './children.ts'
import type { BlobSource, ImageStore } from './store.ts'

export interface CopyOptions {
  /** The image's name in the target; the same where it is left out. */
  readonly as?: Reference
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
}

const blobsAtOnce = 3

/** Copies a named image and gives it its name there. @throws IMAGE_NOT_FOUND, BLOB_CORRUPT, DISK_FULL, CANCELLED */
export async function copyImage(
  from: ImageStore,
  to: ImageStore,
  reference: Reference,
  options: CopyOptions = {},
): Promise<Descriptor> {
  const descriptor = await from.findImage(reference)
  if (descriptor === undefined)
    throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${formatFamiliar(reference)}`)
  await copyBlobs(from, to, descriptor, options)
  await to.tagImage(options.as ?? reference, descriptor)
  return descriptor
}

/** Copies a blob and all it refers to, deepest first; platforms that the source does not have are left out. */
export async function copyBlobs(
  from: BlobSource,
  to: ImageStore,
  descriptor: Descriptor,
  options: Pick<CopyOptions, 'signal' | 'emit'> = {},
): Promise<void> {
  const { signal, emit = ignoreEvents } = options
  signal?.throwIfAborted()
  const children = await childrenOf(from, descriptor)
  await mapConcurrent(children, blobsAtOnce, async child => {
    if (child.optional && !(await from.hasBlob(child.descriptor.digest))) return
    await copyBlobs(from, to, child.descriptor, options)
  })
  if (await to.hasBlob(descriptor.digest)) return
  const { digest, size } = descriptor
  await inStep(emit, { id: digest, title: `copy ${digest}` }, async () => {
    const source = await from.openBlob(descriptor)
    await to.putBlob(source, { expected: { digest, size }, signal })
  })
}

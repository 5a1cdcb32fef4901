// Moves an image from one store to another: push, pull, copy, save and load are this one verb over different stores. First
// the documents are read, which say what there is to move; then the blobs that are not there yet, side by side; then the
// documents, each after what it refers to, so no half image is ever visible.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import { type Emit, ignoreEvents, inStep } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Platform } from '../oci/platform.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import { planCopy } from './plan-copy.ts'
import type { BlobSource, ImageStore } from './store.ts'
import { tellChunks, transferProgress } from './transfer-progress.ts'

export interface CopyOptions {
  /** The image's name in the target; the same where it is left out. */
  readonly as?: Reference
  /** Of an index only the image for this platform; left out: everything that the source has. */
  readonly platform?: Platform | undefined
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
  /** Id of the step that the steps of blobs belong to. */
  readonly parent?: string
}

/** Blobs under way at once. */
const blobsAtOnce = 4

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
  options: Omit<CopyOptions, 'as'> = {},
): Promise<void> {
  const { platform, signal } = options
  const { blobs, configs, documents } = await planCopy(from, descriptor, { platform, signal })
  await mapConcurrent(blobs, blobsAtOnce, blob => copyBlob({ from, to, ...options }, blob))
  await mapConcurrent(configs, blobsAtOnce, blob => copyBlob({ from, to, ...options }, blob))
  for (const { descriptor: document, bytes } of documents) {
    const { digest, size, mediaType } = document
    if (await to.hasBlob(digest, mediaType)) continue
    await to.putBlob(oneChunk(bytes), { expected: { digest, size }, mediaType, signal })
  }
}

interface CopyWork extends Pick<CopyOptions, 'signal' | 'emit' | 'parent'> {
  readonly from: BlobSource
  readonly to: ImageStore
}

async function copyBlob(work: CopyWork, descriptor: Descriptor): Promise<void> {
  const { to, signal, emit = ignoreEvents, parent } = work
  signal?.throwIfAborted()
  const { digest, size, mediaType } = descriptor
  // Two images that are copied at once may have it both.
  const id = parent === undefined ? digest : `${parent} ${digest}`
  const step = {
    id,
    title: digest.slice(7, 19),
    ...(parent === undefined ? {} : { parent }),
  }
  if (await to.hasBlob(digest, mediaType)) {
    emit({ kind: 'step-started', ...step })
    return emit({ kind: 'step-cached', id })
  }
  await inStep(emit, step, async () => {
    const options = { expected: { digest, size }, mediaType, signal }
    const onProgress = transferProgress(emit, { id, total: size })
    if (to.sendBlob !== undefined) {
      const open = (): Promise<AsyncIterable<Uint8Array>> => openForTarget(work, descriptor)
      return await to.sendBlob(open, { ...options, onProgress })
    }
    const source = await openForTarget(work, descriptor)
    await to.putBlob(tellChunks(source, onProgress), options)
  })
}

/** The target checks what it gets, so it need not be checked twice. */
async function openForTarget(
  { from, to }: CopyWork,
  descriptor: Descriptor,
): Promise<AsyncIterable<Uint8Array>> {
  if (to.takesLent === true && from.openLent !== undefined) return await from.openLent(descriptor)
  return await (from.openUnverified?.(descriptor) ?? from.openBlob(descriptor))
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

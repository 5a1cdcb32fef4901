// What belongs to an image: its documents, read once, and the blobs that they name. Documents come from strangers, so
// their number, depth and size are bounded.

import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { chooseEntry } from '../oci/choose-platform.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { type Child, childrenIn } from './children.ts'
import type { BlobSource } from './store.ts'
import { readBlob } from './verified-stream.ts'

/** A manifest or an index. */
export interface CopiedDocument {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

export interface CopyPlan {
  /** Layers, and what else is no document; each once. */
  readonly blobs: readonly Descriptor[]
  readonly configs: readonly Descriptor[]
  /** Each behind what it refers to; the image itself is the last one. */
  readonly documents: readonly CopiedDocument[]
}

export interface PlanCopyOptions {
  /** Of each index only the image for this platform. */
  readonly platform?: Platform | undefined
  readonly signal?: AbortSignal | undefined
}

/** Indexes in indexes; nobody makes more than one of them. */
const maxDepth = 4
const maxDocuments = 2000
const maxDocumentBytes = 64 * 1024 * 1024

/** Reads the documents. @throws BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID, IMAGE_NOT_FOUND for a missing platform */
export async function planCopy(
  from: BlobSource,
  root: Descriptor,
  options: PlanCopyOptions,
): Promise<CopyPlan> {
  const documents = new Map<Digest, CopiedDocument>()
  const blobs = new Map<Digest, Descriptor>()
  const configs = new Map<Digest, Descriptor>()
  let documentBytes = 0
  const visit = async ({ descriptor, optional }: Child, depth: number): Promise<void> => {
    if (options.signal?.aborted) throw cancelled(options.signal)
    if (documents.has(descriptor.digest) || blobs.has(descriptor.digest)) return
    const { mediaType, digest } = descriptor
    if (!isManifestType(mediaType) && !isIndexType(mediaType)) {
      if (!optional || (await from.hasBlob(digest, mediaType))) blobs.set(digest, descriptor)
      return
    }
    if (depth > maxDepth) throw tooMuch(root, `indexes in indexes deeper than ${maxDepth}`)
    const bytes = await readDocument(from, descriptor, optional)
    if (bytes === undefined) return
    documentBytes += bytes.byteLength
    if (documentBytes > maxDocumentBytes || documents.size >= maxDocuments)
      throw tooMuch(
        root,
        `more than ${maxDocuments} documents, or ${maxDocumentBytes} bytes of them`,
      )
    for (const child of chosenChildren(descriptor, bytes, options.platform))
      await visit(child, depth + 1)
    if (isManifestType(mediaType)) keepConfig(descriptor, bytes, { blobs, configs })
    documents.set(digest, { descriptor, bytes })
  }
  await visit({ descriptor: root, optional: false }, 0)
  return {
    blobs: [...blobs.values()],
    configs: [...configs.values()],
    documents: [...documents.values()],
  }
}

async function readDocument(
  from: BlobSource,
  descriptor: Descriptor,
  optional: boolean,
): Promise<Uint8Array | undefined> {
  try {
    return await readBlob(from, descriptor)
  } catch (error) {
    if (optional && error instanceof KauriError && error.code === 'BLOB_NOT_FOUND') return undefined
    throw error
  }
}

function chosenChildren(
  descriptor: Descriptor,
  bytes: Uint8Array,
  platform: Platform | undefined,
): readonly Child[] {
  if (platform === undefined || !isIndexType(descriptor.mediaType))
    return childrenIn(descriptor, bytes)
  const { manifests } = parseIndex(bytes, `index ${descriptor.digest}`)
  const chosen = chooseEntry(manifests, platform, descriptor.digest)
  return [{ descriptor: chosen, optional: false }]
}

/** The configuration is the first child of a manifest; it goes last, when all layers are there. */
function keepConfig(
  manifest: Descriptor,
  bytes: Uint8Array,
  { blobs, configs }: Record<'blobs' | 'configs', Map<Digest, Descriptor>>,
): void {
  const [config] = childrenIn(manifest, bytes)
  if (config === undefined) return
  blobs.delete(config.descriptor.digest)
  configs.set(config.descriptor.digest, config.descriptor)
}

function tooMuch({ digest }: Descriptor, what: string): KauriError {
  return new KauriError('ARCHIVE_INVALID', `the image ${digest} has ${what}`)
}

// A repository as a store of images, so that one copy moves images between registries, disks and archives. Documents and
// other blobs live in different places there, so the media type decides where something is asked for.

import { Readable } from 'node:stream'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { isIndexType, isManifestType } from '../oci/manifest.ts'
import { formatFamiliar, parseReference, type Reference } from '../oci/reference.ts'
import { checkExpected } from '../store/blob-batch.ts'
import { requireFitting } from '../store/image-names.ts'
import type { ImageStore, SendOptions } from '../store/store.ts'
import type { AskOptions, FetchedManifest, RegistryRepository, UploadOptions } from './registry.ts'

export interface RepositoryStoreOptions extends AskOptions {
  /** Repositories of the same registry that may have a blob; asked for when one is to be uploaded. */
  readonly mountFrom?: ((digest: Digest) => Promise<readonly string[]>) | undefined
}

/** The images of one repository; names of any other are refused. */
export function repositoryStore(
  repository: RegistryRepository,
  options: RepositoryStoreOptions = {},
): ImageStore {
  const { mountFrom, ...asking } = options
  const { signal } = asking
  const documents = documentCache(repository, signal)
  const upload = async (
    open: () => Promise<AsyncIterable<Uint8Array>>,
    { expected, onProgress }: SendOptions,
    more: Pick<UploadOptions, 'isMissing'>,
  ): Promise<void> => {
    const candidates = await mountFrom?.(expected.digest)
    const how = { signal, onProgress, mountFrom: candidates, ...more }
    await repository.putBlob(open, expected, how)
  }
  return {
    ...readingSide(repository, documents, asking),
    takesLent: true,
    async putBlob(source, { expected, mediaType }: Partial<SendOptions> = {}) {
      if (expected === undefined)
        throw new KauriError('INTERNAL', 'a registry wants to know the digest of a blob first')
      if (isDocument(mediaType)) {
        const bytes = await wholeOf(source)
        const { descriptor } = await documents.put({ bytes, mediaType: mediaType ?? '' })
        checkExpected(descriptor, expected)
        return { digest: descriptor.digest, size: descriptor.size }
      }
      await upload(async () => source, { expected }, {})
      return { digest: expected.digest, size: expected.size }
    },
    sendBlob: (open, how) => upload(open, how, { isMissing: true }),
    ...namingSide(repository, documents, signal),
  }
}

function isDocument(mediaType: string | undefined): boolean {
  return mediaType !== undefined && (isManifestType(mediaType) || isIndexType(mediaType))
}

async function wholeOf(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

interface DocumentCache {
  find(target: string): Promise<FetchedManifest | undefined>
  put(manifest: { bytes: Uint8Array; mediaType: string }): Promise<FetchedManifest>
}

/** Each document is fetched once: finding an image, planning its copy and naming it all look at the same ones. */
function documentCache(
  repository: RegistryRepository,
  signal: AbortSignal | undefined,
): DocumentCache {
  const known = new Map<string, FetchedManifest>()
  const keep = (found: FetchedManifest): FetchedManifest => {
    known.set(found.descriptor.digest, found)
    return found
  }
  return {
    async find(target) {
      const kept = known.get(target)
      if (kept !== undefined) return kept
      const found = await repository.findManifest(target, { signal })
      return found === undefined ? undefined : keep(found)
    },
    async put({ bytes, mediaType }) {
      const descriptor = await repository.putManifest({ bytes, mediaType }, undefined, { signal })
      return keep({ bytes, descriptor })
    },
  }
}

function readingSide(
  repository: RegistryRepository,
  documents: DocumentCache,
  asking: AskOptions,
): Pick<ImageStore, 'hasBlob' | 'openBlob' | 'openLent' | 'readWhole'> {
  const getDocument = async ({ digest }: Descriptor): Promise<Uint8Array> => {
    const found = await documents.find(digest)
    if (found !== undefined) return found.bytes
    const { registry, repository: path } = repository.name
    throw new KauriError('BLOB_NOT_FOUND', `${registry}/${path} has no manifest ${digest}`)
  }
  const openDocument = async (descriptor: Descriptor): Promise<Readable> =>
    Readable.from([await getDocument(descriptor)], { objectMode: false })
  return {
    async hasBlob(digest, mediaType) {
      if (!isDocument(mediaType)) return await repository.hasBlob(digest, asking)
      return (await repository.resolve(digest, asking)) !== undefined
    },
    openBlob: async descriptor =>
      isDocument(descriptor.mediaType)
        ? await openDocument(descriptor)
        : await repository.openBlob(descriptor, asking),
    openLent: async descriptor =>
      isDocument(descriptor.mediaType)
        ? await openDocument(descriptor)
        : await repository.openLent(descriptor, asking),
    async readWhole(descriptor) {
      if (isDocument(descriptor.mediaType)) return await getDocument(descriptor)
      return await wholeOf(await repository.openBlob(descriptor, asking))
    },
  }
}

function namingSide(
  repository: RegistryRepository,
  documents: DocumentCache,
  signal: AbortSignal | undefined,
): Pick<ImageStore, 'findImage' | 'tagImage' | 'untagImage' | 'listImages'> {
  const { registry, repository: path } = repository.name
  const targetOf = (reference: Reference): string => {
    if (reference.registry !== registry || reference.repository !== path)
      throw new KauriError('INTERNAL', `${formatFamiliar(reference)} is not in ${registry}/${path}`)
    return reference.digest ?? reference.tag ?? 'latest'
  }
  return {
    async findImage(reference) {
      return (await documents.find(targetOf(reference)))?.descriptor
    },
    async tagImage(reference, descriptor) {
      requireFitting(reference, descriptor)
      targetOf(reference)
      const { tag } = reference
      if (tag === undefined) return
      const found = await documents.find(descriptor.digest)
      if (found === undefined)
        throw new KauriError('BLOB_NOT_FOUND', `${registry}/${path} has no ${descriptor.digest}`)
      const { bytes } = found
      await repository.putManifest({ bytes, mediaType: descriptor.mediaType }, tag, { signal })
    },
    untagImage: reference => repository.deleteManifest(targetOf(reference), { signal }),
    async listImages() {
      const tags = (await repository.listTags({ signal })) ?? []
      const images = []
      for (const tag of tags.toSorted()) {
        const descriptor = isDigest(tag) ? undefined : await repository.resolve(tag, { signal })
        const reference = parseReference(`${registry}/${path}:${tag}`)
        if (descriptor !== undefined) images.push({ reference, descriptor })
      }
      return images
    },
  }
}

// Manifests, tags and referrers of the repositories that the store's names make up.

import type { IncomingMessage } from 'node:http'
import { KauriError } from '../core/errors.ts'
import { oneChunk } from '../image/create-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { isIndexType, isManifestType, parseIndex, parseManifest } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { NamedImage } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { referrerOf, subjectOf } from './referrers.ts'
import { Refusal } from './serve-error.ts'
import type { RepositoryName } from './serve-route.ts'

export interface ServedManifest {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

const maxManifestBytes = 4 * 1024 * 1024

/** Every name of a repository. */
async function namesOf(store: DiskStore, name: RepositoryName): Promise<NamedImage[]> {
  return (await store.listImages()).filter(
    ({ reference }) =>
      reference.registry === name.registry && reference.repository === name.repository,
  )
}

/** A manifest by tag or digest; by digest also those that an index of the repository lists. @throws Refusal 404 */
export async function findServed(
  store: DiskStore,
  name: RepositoryName,
  target: string,
): Promise<ServedManifest> {
  const images = await namesOf(store, name)
  const descriptor = target.startsWith('sha256:')
    ? await findByDigest(store, images, target)
    : images.find(({ reference }) => reference.tag === target)?.descriptor
  if (descriptor === undefined)
    throw new Refusal(404, 'MANIFEST_UNKNOWN', `${target} is not in this repository`)
  return { descriptor, bytes: await readBlob(store, descriptor) }
}

async function findByDigest(
  store: DiskStore,
  images: readonly NamedImage[],
  target: string,
): Promise<Descriptor | undefined> {
  const waiting = images.map(({ descriptor }) => descriptor)
  const seen = new Set<string>()
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (seen.has(next.digest) || !(await store.hasBlob(next.digest))) continue
    seen.add(next.digest)
    if (next.digest === target) return next
    if (isIndexType(next.mediaType))
      waiting.push(...parseIndex(await readBlob(store, next), `index ${next.digest}`).manifests)
  }
  return undefined
}

export interface StoredManifest {
  readonly descriptor: Descriptor
  /** The manifest that this one is about. */
  readonly subject: Digest | undefined
}

/**
 * Stores a manifest under a tag or its digest. All it refers to must be there, but for the images of an index.
 * @throws Refusal, ARCHIVE_INVALID, BLOB_NOT_FOUND
 */
export async function putServed(
  store: DiskStore,
  reference: RepositoryName & { readonly target: string },
  request: IncomingMessage,
): Promise<StoredManifest> {
  const { registry, repository, target } = reference
  const bytes = await readBody(request)
  const mediaType = typeOf(request, bytes)
  const digest = digestOf(bytes)
  if (target.includes(':') && target !== digest)
    throw new Refusal(400, 'DIGEST_INVALID', `the manifest is ${digest}, not ${target}`)
  const isTag = !target.includes(':')
  const checked = parseTarget({ registry, repository }, isTag ? target : undefined, digest)
  const subject = checkedSubject(bytes, mediaType, digest)
  const descriptor = { mediaType, digest, size: bytes.byteLength }
  using batch = store.openBatch()
  if (!(await store.hasBlob(digest))) {
    await batch.put(oneChunk(bytes), { expected: descriptor })
    await batch.commit()
  }
  if (isTag) await keepFormer(store, checked, digest)
  await store.tagImage(checked, descriptor)
  return { descriptor, subject }
}

/** What had the tag before stays in the repository by its digest, as in every registry: somebody may run it. */
async function keepFormer(store: DiskStore, name: Reference, digest: Digest): Promise<void> {
  const { registry, repository, tag } = name
  const images = await namesOf(store, name)
  const former = images.find(({ reference }) => reference.tag === tag)?.descriptor
  if (former === undefined || former.digest === digest) return
  await store.tagImage({ registry, repository, digest: former.digest }, former)
}

/** @throws Refusal for tags outside the grammar */
function parseTarget(
  { registry, repository }: RepositoryName,
  tag: string | undefined,
  digest: Digest,
): Reference {
  if (tag === undefined) return { registry, repository, digest }
  try {
    return parseReference(`${registry}/${repository}:${tag}`)
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    throw new Refusal(400, 'MANIFEST_INVALID', error.message)
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxManifestBytes)
      throw new Refusal(413, 'SIZE_INVALID', `a manifest has at most ${maxManifestBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The header and the document must say the same (CVE-2021-41190). */
function typeOf({ headers }: IncomingMessage, bytes: Buffer): string {
  const said = headers['content-type']?.split(';')[0]?.trim()
  const inside = mediaTypeInside(bytes)
  if (said !== undefined && inside !== undefined && said !== inside)
    throw new Refusal(400, 'MANIFEST_INVALID', `the document says ${inside}, the header ${said}`)
  const mediaType = said ?? inside
  if (mediaType === undefined || (!isManifestType(mediaType) && !isIndexType(mediaType)))
    throw new Refusal(400, 'MANIFEST_INVALID', `${mediaType ?? 'nothing'} is no type of a manifest`)
  return mediaType
}

function mediaTypeInside(bytes: Buffer): string | undefined {
  try {
    const document: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof document !== 'object' || document === null || !('mediaType' in document))
      return undefined
    return typeof document.mediaType === 'string' ? document.mediaType : undefined
  } catch {
    throw new Refusal(400, 'MANIFEST_INVALID', 'the manifest is no JSON')
  }
}

/** What it is about, of a document that is what its type says. @throws ARCHIVE_INVALID */
function checkedSubject(bytes: Buffer, mediaType: string, digest: Digest): Digest | undefined {
  if (isManifestType(mediaType)) parseManifest(bytes, `manifest ${digest}`)
  else parseIndex(bytes, `index ${digest}`)
  return subjectOf(bytes)
}

/** Takes a tag away, or every name of a digest. @throws Refusal 404 */
export async function deleteServed(
  store: DiskStore,
  name: RepositoryName,
  target: string,
): Promise<void> {
  const isWanted = ({ reference, descriptor }: NamedImage): boolean =>
    target.includes(':') ? descriptor.digest === target : reference.tag === target
  const wanted = (await namesOf(store, name)).filter(isWanted)
  if (wanted.length === 0)
    throw new Refusal(404, 'MANIFEST_UNKNOWN', `${target} is not in this repository`)
  for (const { reference } of wanted) await store.untagImage(reference)
}

/** The tags, sorted; undefined where nobody knows the repository. */
export async function tagsOf(
  store: DiskStore,
  name: RepositoryName,
): Promise<readonly string[] | undefined> {
  const images = await namesOf(store, name)
  if (images.length === 0) return undefined
  const tags = images.flatMap(({ reference }) => reference.tag ?? [])
  return [...new Set(tags)].toSorted()
}

/** Descriptors of the manifests that are about a digest (distribution-spec v1.1 "Listing Referrers"). */
export async function referrersOf(
  store: DiskStore,
  name: RepositoryName,
  digest: Digest,
): Promise<Descriptor[]> {
  const found = new Map<string, Descriptor>()
  for (const { descriptor } of await namesOf(store, name)) {
    if (found.has(descriptor.digest) || !(await store.hasBlob(descriptor.digest))) continue
    const bytes = await readBlob(store, descriptor)
    if (subjectOf(bytes) !== digest) continue
    const { mediaType, size } = descriptor
    found.set(descriptor.digest, referrerOf({ mediaType, digest: descriptor.digest, size }, bytes))
  }
  return [...found.values()]
}

/** The index that lists referrers. */
export function referrersIndex(manifests: readonly Descriptor[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }))
}

// What people type to name an image: a reference, a digest, or the beginning of one.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import { formatFamiliar, parseReference, type Reference } from '../oci/reference.ts'
import type { LayoutReader } from '../store/layout-reader.ts'
import { readBlob } from '../store/verified-stream.ts'

export interface FoundImage {
  /** The name it was found by; undefined where it was found by its digest. */
  readonly reference: Reference | undefined
  readonly descriptor: Descriptor
  /** The index that names it, of an image that has no entry of its own in the store. */
  readonly memberOf?: Digest
}

/** `sha256:` may be left out; four digits at least, so that short names are not taken for digests. */
const digestPrefixForm = /^(?:sha256:)?([0-9a-f]{4,64})$/

/**
 * Finds an image as docker does: a whole digest, then a name, then the beginning of a digest. Digests may also be those of
 * the single images that an index names.
 * @throws REFERENCE_INVALID, USAGE where a prefix fits several images
 */
export async function findImage(
  store: LayoutReader,
  text: string,
): Promise<FoundImage | undefined> {
  const prefix = digestPrefixForm.exec(text)?.[1]
  if (text.startsWith('sha256:') && prefix !== undefined) return await findByDigest(store, prefix)
  if (prefix?.length === 64) return await findByDigest(store, prefix)
  const reference = parseReference(text)
  const descriptor = await store.findImage(reference)
  if (descriptor !== undefined) return { reference, descriptor }
  if (reference.digest !== undefined) return await findMember(store, reference, reference.digest)
  return prefix === undefined ? undefined : await findByDigest(store, prefix)
}

/** The same, for images that must be there. @throws IMAGE_NOT_FOUND */
export async function getImage(store: LayoutReader, text: string): Promise<FoundImage> {
  const found = await findImage(store, text)
  if (found !== undefined) return found
  throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${text}`, {
    hint: 'kauri images lists what is there',
  })
}

async function findByDigest(store: LayoutReader, prefix: string): Promise<FoundImage | undefined> {
  const start = `sha256:${prefix}`
  const listed = (await store.listEntries()).map(({ descriptor }) => descriptor)
  const own = listed
    .filter(({ digest }) => digest.startsWith(start))
    .map(descriptor => ({ reference: undefined, descriptor }))
  const fitting: FoundImage[] = own.length > 0 ? own : await membersOf(store, listed, start)
  const byDigest = new Map(fitting.map(image => [image.descriptor.digest, image]))
  if (byDigest.size > 1)
    throw new KauriError('USAGE', `${prefix} is the beginning of ${byDigest.size} digests`, {
      hint: 'write more digits',
    })
  const [image] = byDigest.values()
  return image
}

/** `NAME@DIGEST` may name one image of an index, too, if the index has that name. */
async function findMember(
  store: LayoutReader,
  name: Reference,
  digest: Digest,
): Promise<FoundImage | undefined> {
  const named = (await store.listImages())
    .filter(({ reference }) => isNamedSo(reference, name))
    .map(({ descriptor }) => descriptor)
  const [member] = await membersOf(store, named, digest)
  return member
}

function isNamedSo(reference: Reference, { registry, repository, tag }: Reference): boolean {
  return (
    reference.registry === registry &&
    reference.repository === repository &&
    (tag === undefined || reference.tag === tag)
  )
}

/** Images that only an index names, one for each platform; those that are stored. */
async function membersOf(
  store: LayoutReader,
  listed: readonly Descriptor[],
  start: string,
): Promise<FoundImage[]> {
  const found: FoundImage[] = []
  for (const index of listed.filter(({ mediaType }) => isIndexType(mediaType)))
    for (const member of await readMembers(store, index))
      if (member.digest.startsWith(start) && (await isStored(store, member)))
        found.push({ reference: undefined, descriptor: member, memberOf: index.digest })
  return found
}

/** A damaged index has none. */
async function readMembers(store: LayoutReader, index: Descriptor): Promise<readonly Descriptor[]> {
  try {
    const { manifests } = parseIndex(await readBlob(store, index), `index ${index.digest}`)
    return manifests.filter(({ mediaType }) => isManifestType(mediaType))
  } catch (error) {
    if (error instanceof KauriError) return []
    throw error
  }
}

async function isStored(store: LayoutReader, descriptor: Descriptor): Promise<boolean> {
  try {
    await readBlob(store, descriptor)
    return true
  } catch (error) {
    if (error instanceof KauriError) return false
    throw error
  }
}

/** The name as people write it, or the digest of an image without one. */
export function displayName({ reference, descriptor }: FoundImage): string {
  return reference === undefined ? descriptor.digest : formatFamiliar(reference)
}

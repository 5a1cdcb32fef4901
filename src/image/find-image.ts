// What people type to name an image: a reference, a digest, or the beginning of one.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { formatFamiliar, parseReference, type Reference } from '../oci/reference.ts'
import type { LayoutReader, StoredImage } from '../store/layout-reader.ts'

export interface FoundImage {
  /** The name it was found by; undefined where it was found by its digest. */
  readonly reference: Reference | undefined
  readonly descriptor: Descriptor
}

/** `sha256:` may be left out; four digits at least, so that short names are not taken for digests. */
const digestPrefixForm = /^(?:sha256:)?([0-9a-f]{4,64})$/

/**
 * Finds an image as docker does: a whole digest, then a name, then the beginning of a digest.
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
  const byDigest = new Map<Digest, StoredImage>()
  for (const image of await store.listEntries())
    if (image.descriptor.digest.startsWith(`sha256:${prefix}`))
      byDigest.set(image.descriptor.digest, image)
  if (byDigest.size > 1)
    throw new KauriError('USAGE', `${prefix} is the beginning of ${byDigest.size} digests`, {
      hint: 'write more digits',
    })
  const [image] = byDigest.values()
  return image === undefined ? undefined : { reference: undefined, descriptor: image.descriptor }
}

/** The name as people write it, or the digest of an image without one. */
export function displayName({ reference, descriptor }: FoundImage): string {
  return reference === undefined ? descriptor.digest : formatFamiliar(reference)
}

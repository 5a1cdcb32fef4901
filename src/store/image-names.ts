// How names and digests of references are compared; the same for every kind of store.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { familiarName, formatReference, type Reference } from '../oci/reference.ts'
import type { NamedImage } from './store.ts'

const digestLike = /^(?:sha256|[0-9a-f]{64})$/

/** The name an image is kept under: a digest beside a tag says which image is meant and is no part of the name. */
export function keptName(reference: Reference): Reference {
  const { digest: _, ...named } = reference
  return reference.tag === undefined ? reference : named
}

/** The kept name as text; equal texts are the same name. */
export function nameKey(reference: Reference): string {
  return formatReference(keptName(reference))
}

/** True when the image is what the reference asks for: its tag where it has one, its digest where it has one. */
export function answersTo({ reference, descriptor }: NamedImage, wanted: Reference): boolean {
  if (reference.registry !== wanted.registry || reference.repository !== wanted.repository)
    return false
  if (wanted.tag !== undefined && reference.tag !== wanted.tag) return false
  return wanted.digest === undefined || wanted.digest === descriptor.digest
}

/** Order of names by code unit. */
export function byReference(a: NamedImage, b: NamedImage): number {
  const [left, right] = [formatReference(a.reference), formatReference(b.reference)]
  if (left === right) return 0
  return left < right ? -1 : 1
}

/**
 * What every name that is given must be.
 * @throws CHECKSUM_MISMATCH where a name that says the digest is given to another image, REFERENCE_INVALID for one that
 * people could only write as a digest
 */
export function requireFitting(reference: Reference, descriptor: Descriptor): void {
  const name = familiarName(reference)
  if (digestLike.test(name))
    throw new KauriError(
      'REFERENCE_INVALID',
      `an image named ${name} would be taken for a digest`,
      {
        hint: 'take another name, or write a registry before it',
      },
    )
  if (reference.digest !== undefined && reference.digest !== descriptor.digest)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `the name ${formatReference(reference)} cannot be given to the image ${descriptor.digest}`,
    )
}

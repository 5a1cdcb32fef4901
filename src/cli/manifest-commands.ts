// What the `manifest` commands have in common: an index by its name, and a new one in its place.

import { KauriError } from '../core/errors.ts'
import {
  type EditedIndex,
  indexDocument,
  readIndex,
  storeEditedIndex,
} from '../image/edit-index.ts'
import { findImage, getImage } from '../image/find-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexType } from '../oci/manifest.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { CommandContext, ParsedOptions } from './command.ts'

export interface NamedIndex {
  readonly reference: Reference
  readonly index: EditedIndex
}

/** @throws IMAGE_NOT_FOUND, USAGE for a single image, or where a name is needed and a digest was given */
export async function openNamedIndex(store: DiskStore, text: string): Promise<NamedIndex> {
  const { reference, descriptor } = await getImage(store, text)
  if (reference === undefined)
    throw new KauriError('USAGE', `${text} is no name: a changed index needs one to go under`)
  return { reference, index: await readIndex(store, descriptor) }
}

/** An image for an index, or one in it: by name, digest or the beginning of one. */
export async function findMember(
  store: DiskStore,
  text: string,
  index: EditedIndex,
): Promise<Descriptor> {
  const hex = text.replace(/^sha256:/, '')
  const members = index.entries
    .map(({ descriptor }) => descriptor)
    .filter(({ digest }) => digest.startsWith(`sha256:${hex}`))
  const [member] = members
  if (/^[0-9a-f]{4,64}$/.test(hex) && member !== undefined && members.length === 1) return member
  const { descriptor } = await getImage(store, text)
  if (!isIndexType(descriptor.mediaType)) return descriptor
  throw new KauriError('USAGE', `${text} is an index; name one image of it`)
}

/** Stores the index under its name and tells its digest. */
export async function keepIndex(
  store: DiskStore,
  { reference, index }: NamedIndex,
  { print, printJson }: CommandContext,
): Promise<void> {
  using _ = store.openBatch()
  const descriptor = await storeEditedIndex(store, index)
  await store.tagImage(reference, descriptor)
  print(descriptor.digest)
  printJson({ digest: descriptor.digest, index: indexDocument(index) })
}

/** The name for a new index. @throws NAME_IN_USE where it is taken, but with --amend */
export async function newIndexName(
  store: DiskStore,
  text: string,
  options: ParsedOptions,
): Promise<Reference> {
  const reference = parseReference(text)
  if (!options.flag('amend') && (await findImage(store, text)) !== undefined)
    throw new KauriError('NAME_IN_USE', `there is an image ${text} already`, {
      hint: 'choose another name, or replace it with --amend',
    })
  return reference
}

// What the commands that make one image of another have in common: the image, its new name, the line of history.

import type { ImageParts } from '../image/create-image.ts'
import { displayName, getImage } from '../image/find-image.ts'
import type { Image } from '../image/image.ts'
import { openImage } from '../image/open-image.ts'
import { parsePlatform } from '../oci/platform.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { CommandContext, OptionSpec, ParsedOptions } from './command.ts'
import { creationTime } from './creation-time.ts'

export const editOptions: readonly OptionSpec[] = [
  {
    long: 'tag',
    short: 't',
    value: 'NAME',
    repeat: true,
    summary: 'Name of the new image; without one it is kept under its digest',
  },
  { long: 'message', short: 'm', value: 'TEXT', summary: 'Comment in the history' },
  { long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the image' },
]

/** An image that is being made into another one. */
export interface EditedImage {
  readonly image: Image
  /** As people write it. */
  readonly name: string
  readonly reference: Reference | undefined
}

/** @throws IMAGE_NOT_FOUND */
export async function openEdited(
  store: DiskStore,
  text: string,
  options: ParsedOptions,
): Promise<EditedImage> {
  const platform = options.text('platform')
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const found = await getImage(store, text)
  const image = await openImage(store, found.descriptor, wanted)
  return { image, name: displayName(found), reference: found.reference }
}

/** The line of history for what a command does now. */
export function editLine(
  createdBy: string,
  options: ParsedOptions,
): { readonly created: string; readonly createdBy: string; readonly comment: string | undefined } {
  return { created: creationTime().toISOString(), createdBy, comment: options.text('message') }
}

/** Stores the new image under its names and tells its digest. */
export async function keepEdited(
  store: DiskStore,
  parts: ImageParts,
  { options, context }: { readonly options: ParsedOptions; readonly context: CommandContext },
): Promise<void> {
  const { createImage } = await import('../image/create-image.ts')
  const references = options.texts('tag').map(parseReference)
  // Open, so that garbage collection leaves the documents alone until they have a name.
  using _ = store.openBatch()
  const { descriptor } = await createImage(store, parts)
  if (references.length === 0) await store.keepImage(descriptor)
  for (const reference of references) await store.tagImage(reference, descriptor)
  context.print(descriptor.digest)
  context.printJson({ digest: descriptor.digest, names: options.texts('tag') })
}

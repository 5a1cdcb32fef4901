// What a build tells about its image in a file: the document of --metadata-file, with the names that buildx gives its
// members.

import { formatReference, type Reference } from '../oci/reference.ts'
import type { BuildOutcome } from './build-plans.ts'

/** The document's members; those about an image only where there is one. */
export function buildMetadata(
  { descriptor, images }: BuildOutcome,
  names: readonly Reference[],
): Readonly<Record<string, unknown>> {
  if (descriptor === undefined) return {}
  const [only] = images
  const config = images.length === 1 ? only?.image?.manifest.config.digest : undefined
  const name = names.map(reference => formatReference(reference)).join(',')
  return {
    ...(config === undefined ? {} : { 'containerimage.config.digest': config }),
    'containerimage.descriptor': descriptor,
    'containerimage.digest': descriptor.digest,
    ...(name === '' ? {} : { 'image.name': name }),
  }
}

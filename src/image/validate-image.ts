// Checks everything that an image promises, down to the last byte of its layers.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { compressionOf } from '../oci/media-types.ts'
import type { BlobSource } from '../store/store.ts'
import type { Image } from './image.ts'
import { layerTarBytes } from './layer-tar.ts'
import { openImage } from './open-image.ts'

/**
 * Reads the whole image: manifest, configuration and layers have the sizes and digests that name them, every layer is
 * packed as its type says and unpacks to its diff ID, the history tells of as many layers as there are.
 * @throws BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID, UNSUPPORTED with the first thing that is wrong
 */
export async function validateImage(
  store: BlobSource,
  descriptor: Descriptor,
  signal?: AbortSignal,
): Promise<Image> {
  const image = await openImage(store, descriptor)
  checkHistory(image)
  for (const layer of image.layers) {
    if (compressionOf(layer.descriptor.mediaType) === undefined)
      throw new KauriError('UNSUPPORTED', `${layer.descriptor.mediaType} is no layer of a root`)
    for await (const _ of layerTarBytes(layer, signal));
  }
  return image
}

function checkHistory({ descriptor, config, layers }: Image): void {
  if (config.history === undefined) return
  const told = config.history.filter(entry => entry.empty_layer !== true).length
  if (told !== layers.length)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `the history of ${descriptor.digest} tells of ${told} layers, there are ${layers.length}`,
    )
}

// Takes one image out of an OCI layout that somebody else owns, without giving it a name in the store.

import { KauriError } from '../core/errors.ts'
import { type Descriptor, refNameAnnotation } from '../oci/descriptor.ts'
import { foreignIndexLimits } from '../oci/json-shape.ts'
import { isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import { copyBlobs } from '../store/copy-image.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { directoryBlobs, readLayoutIndex } from './load-directory.ts'

export interface LayoutChoice {
  /** `org.opencontainers.image.ref.name`, or the tag in it; by default `latest`, or the only image. */
  readonly tag?: string | undefined
  readonly digest?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Copies the image's blobs into the store, whose batch the caller holds open. @throws IMAGE_NOT_FOUND, ARCHIVE_INVALID, BLOB_NOT_FOUND, BLOB_CORRUPT */
export async function copyFromLayout(
  store: DiskStore,
  directory: string,
  { tag, digest, signal }: LayoutChoice,
): Promise<Descriptor> {
  using _ = store.openBatch()
  const descriptor = chooseImage(directory, { tag, digest })
  await copyBlobs(directoryBlobs(directory), store, descriptor, { signal })
  return descriptor
}

function chooseImage(directory: string, { tag, digest }: LayoutChoice): Descriptor {
  const entries = parseIndex(
    readLayoutIndex(directory),
    `${directory}/index.json`,
    foreignIndexLimits,
  ).manifests
  const images = entries.filter(
    ({ mediaType }) => isManifestType(mediaType) || isIndexType(mediaType),
  )
  const [only] = images
  const chosen =
    digest !== undefined
      ? images.find(image => image.digest === digest)
      : (images.find(image => hasTag(image, tag ?? 'latest')) ??
        (tag === undefined && images.length === 1 ? only : undefined))
  if (chosen === undefined)
    throw new KauriError(
      'IMAGE_NOT_FOUND',
      `the layout ${directory} has no image ${digest ?? tag ?? 'latest'}`,
    )
  const { annotations: _, ...descriptor } = chosen
  return descriptor
}

function hasTag({ annotations }: Descriptor, tag: string): boolean {
  const name = annotations?.[refNameAnnotation]
  return name === tag || name?.endsWith(`:${tag}`) === true
}

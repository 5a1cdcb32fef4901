// From a descriptor to an Image: picks the platform of an index, reads manifest and configuration, and checks that they
// belong together. Layers are opened only when somebody reads them.

import { KauriError } from '../core/errors.ts'
import { chooseEntry } from '../oci/choose-platform.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type ImageConfig, parseImageConfig } from '../oci/image-config.ts'
import {
  isIndexType,
  isManifestType,
  type Manifest,
  parseIndex,
  parseManifest,
} from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { formatPlatform, hostPlatform, matchesPlatform, type Platform } from '../oci/platform.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { Image } from './image.ts'

/**
 * Opens an image. From an index the platform is taken, the machine's where none is asked for; a single image must be for
 * the platform that is asked for.
 * @throws IMAGE_NOT_FOUND where the platform is missing, BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID, UNSUPPORTED
 */
export async function openImage(
  store: BlobReader,
  descriptor: Descriptor,
  platform?: Platform,
): Promise<Image> {
  const chosen = await chooseManifest(store, descriptor, platform ?? hostPlatform())
  const manifest = parseManifest(await readBlob(store, chosen), `manifest ${chosen.digest}`)
  const config = await readConfig(store, manifest, chosen)
  if (platform !== undefined && !matchesPlatform(config, platform))
    throw new KauriError(
      'IMAGE_NOT_FOUND',
      `the image ${chosen.digest} is for ${formatPlatform(config)}, not for ${formatPlatform(platform)}`,
    )
  return imageOf(store, { descriptor: chosen, manifest, config })
}

/** A store, as far as it is read here. */
type BlobReader = Pick<BlobSource, 'openBlob' | 'readWhole'>

const maxIndexDepth = 4

async function chooseManifest(
  store: BlobReader,
  descriptor: Descriptor,
  platform: Platform,
  depth = 0,
): Promise<Descriptor> {
  const { mediaType, digest } = descriptor
  if (isManifestType(mediaType)) return descriptor
  if (!isIndexType(mediaType))
    throw new KauriError('UNSUPPORTED', `${digest} of type ${mediaType} is no container image`)
  if (depth > maxIndexDepth)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `the image has indexes in indexes deeper than ${maxIndexDepth}`,
    )
  const { manifests } = parseIndex(await readBlob(store, descriptor), `index ${digest}`)
  const chosen = chooseEntry(manifests, platform, digest)
  return await chooseManifest(store, chosen, platform, depth + 1)
}

async function readConfig(
  store: BlobReader,
  { config: descriptor, layers }: Manifest,
  { digest }: Descriptor,
): Promise<ImageConfig> {
  const { mediaType } = descriptor
  if (mediaType !== mediaTypes.config && mediaType !== mediaTypes.dockerConfig)
    throw new KauriError('UNSUPPORTED', `${digest} holds ${mediaType}, which is no container image`)
  const config = parseImageConfig(await readBlob(store, descriptor), `config ${descriptor.digest}`)
  const diffIds = config.rootfs.diff_ids.length
  if (diffIds !== layers.length)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `the image ${digest} has ${layers.length} layers, but its configuration names ${diffIds}`,
    )
  return config
}

/** Puts an image together from documents that are known to fit. */
export function imageOf(
  store: BlobReader,
  parts: Pick<Image, 'descriptor' | 'manifest' | 'config'>,
): Image {
  const { manifest, config } = parts
  const layers = config.rootfs.diff_ids.flatMap((diffId, index) => {
    const descriptor = manifest.layers[index]
    return descriptor === undefined
      ? []
      : [{ descriptor, diffId, open: () => store.openBlob(descriptor) }]
  })
  return { ...parts, layers }
}

// Image indexes made by hand: one name for the images of several platforms (image-spec v1.1.1 image-index.md). Every change
// writes a new index; the images in it stay what they are.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { type ImageIndex, isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { formatPlatform, matchesPlatform, type Platform } from '../oci/platform.ts'
import type { BlobSource, ImageStore } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { oneChunk } from './create-image.ts'
import { openImage } from './open-image.ts'

export const emptyIndex: ImageIndex = {
  schemaVersion: 2,
  mediaType: mediaTypes.index,
  manifests: [],
}

/** What an index says of an image in it; members that are left out stay as they are. */
export interface ImageNote {
  readonly platform?: Partial<Platform>
  readonly annotations?: Readonly<Record<string, string>>
}

/** Reads the index that a descriptor names. @throws USAGE for a single image */
export async function readIndex(store: BlobSource, descriptor: Descriptor): Promise<ImageIndex> {
  if (!isIndexType(descriptor.mediaType))
    throw new KauriError('USAGE', `${descriptor.digest} is a single image, not an index`, {
      hint: 'kauri manifest create NAME IMAGE... makes an index',
    })
  const index = parseIndex(await readBlob(store, descriptor), `index ${descriptor.digest}`)
  return { ...index, mediaType: mediaTypes.index }
}

/**
 * Adds an image, or every image of another index; one for the same platform takes the place of the old one. The platform
 * comes from the image's configuration.
 */
export async function addToIndex(
  store: BlobSource,
  index: ImageIndex,
  added: Descriptor,
): Promise<ImageIndex> {
  let { manifests } = index
  for (const descriptor of await imagesOf(store, added)) {
    const { platform } = descriptor
    const staying = manifests.filter(
      other =>
        other.digest !== descriptor.digest &&
        !(platform && other.platform && matchesPlatform(other.platform, platform)),
    )
    manifests = [...staying, descriptor]
  }
  return { ...index, manifests }
}

/** Single images with the platform of their configuration. */
async function imagesOf(store: BlobSource, descriptor: Descriptor): Promise<Descriptor[]> {
  const { mediaType, digest, size, annotations } = descriptor
  if (isManifestType(mediaType)) {
    const { config } = await openImage(store, descriptor)
    const { os, architecture, variant } = config
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) }
    const notes = withoutName(annotations)
    return [{ mediaType, digest, size, platform, ...notes }]
  }
  const { manifests } = await readIndex(store, descriptor)
  const stored: Descriptor[] = []
  for (const child of manifests) if (await store.hasBlob(child.digest)) stored.push(child)
  if (stored.length > 0) return stored
  throw new KauriError('IMAGE_NOT_FOUND', `no image of the index ${digest} is stored`)
}

/** The store's own note of an image's name is no note of an index. */
function withoutName(
  annotations: Descriptor['annotations'],
): Pick<Descriptor, 'annotations'> | undefined {
  const kept = Object.entries(annotations ?? {}).filter(
    ([name]) => name !== 'org.opencontainers.image.ref.name',
  )
  return kept.length === 0 ? undefined : { annotations: Object.fromEntries(kept) }
}

/** Changes what the index says of one of its images. @throws IMAGE_NOT_FOUND */
export function annotateInIndex(
  index: ImageIndex,
  wanted: Descriptor,
  { platform = {}, annotations = {} }: ImageNote,
): ImageIndex {
  requireIn(index, wanted)
  const manifests = index.manifests.map((entry): Descriptor => {
    if (entry.digest !== wanted.digest) return entry
    const base = entry.platform ?? { os: 'linux', architecture: 'unknown' }
    const notes = { ...entry.annotations, ...annotations }
    return {
      ...entry,
      platform: { ...base, ...platform },
      ...(Object.keys(notes).length === 0 ? {} : { annotations: notes }),
    }
  })
  return { ...index, manifests }
}

/** Takes an image out. @throws IMAGE_NOT_FOUND */
export function removeFromIndex(index: ImageIndex, wanted: Descriptor): ImageIndex {
  requireIn(index, wanted)
  return { ...index, manifests: index.manifests.filter(({ digest }) => digest !== wanted.digest) }
}

function requireIn({ manifests }: ImageIndex, { digest }: Descriptor): void {
  if (manifests.some(entry => entry.digest === digest)) return
  const there = manifests.map(
    entry => `${entry.digest} (${entry.platform ? formatPlatform(entry.platform) : 'no platform'})`,
  )
  throw new KauriError('IMAGE_NOT_FOUND', `${digest} is not in the index`, {
    hint: there.length === 0 ? 'the index is empty' : `it has ${there.join(', ')}`,
  })
}

/** Stores an index; idempotent. It has no name yet. */
export async function storeIndex(store: ImageStore, index: ImageIndex): Promise<Descriptor> {
  const bytes = Buffer.from(canonicalJson(JSON.parse(JSON.stringify(index))))
  const { mediaType } = index
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
  await store.putBlob(oneChunk(bytes), { expected: descriptor })
  return descriptor
}

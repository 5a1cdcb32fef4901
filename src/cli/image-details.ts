// What `kauri inspect` says of an image, with docker's keys.

import type { FoundImage } from '../image/find-image.ts'
import type { Image } from '../image/image.ts'
import { openImage } from '../image/open-image.ts'
import { imageSize } from '../image/summarize-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexType, parseIndex } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { familiarName, formatFamiliar, type Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { readBlob } from '../store/verified-stream.ts'

/**
 * Everything known of an image; Id is the digest by which the store knows it, of an index the index's.
 * @throws IMAGE_NOT_FOUND where an index has nothing for the platform, BLOB_NOT_FOUND, BLOB_CORRUPT, UNSUPPORTED
 */
export async function imageDetails(
  store: DiskStore,
  found: FoundImage,
  platform?: Platform,
): Promise<object> {
  const image = await openImage(store, found.descriptor, platform)
  const { digest } = found.descriptor
  const names = await namesOf(store, found)
  const { config, manifest, descriptor } = image
  return {
    Id: digest,
    RepoTags: names.filter(({ tag }) => tag !== undefined).map(formatFamiliar),
    RepoDigests: [...new Set(names.map(name => `${familiarName(name)}@${digest}`))],
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created,
    DockerVersion: '',
    Author: config.author ?? '',
    Config: config.config ?? {},
    Architecture: config.architecture,
    Variant: config.variant,
    Os: config.os,
    OsVersion: config['os.version'],
    Size: imageSize(store, image),
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Descriptor: descriptor,
    Manifest: {
      Config: manifest.config,
      Layers: manifest.layers,
      Annotations: manifest.annotations,
    },
    Manifests: await indexEntries(store, found.descriptor, image),
  }
}

async function namesOf(store: DiskStore, { descriptor }: FoundImage): Promise<Reference[]> {
  return (await store.listEntries())
    .filter(entry => entry.descriptor.digest === descriptor.digest)
    .map(({ reference }) => reference)
    .filter(reference => reference !== undefined)
}

/** The images of an index, and which of them are here; undefined for a single image. */
async function indexEntries(
  store: DiskStore,
  descriptor: Descriptor,
  chosen: Image,
): Promise<object[] | undefined> {
  if (!isIndexType(descriptor.mediaType)) return undefined
  const bytes = await readBlob(store, descriptor)
  const entries: object[] = []
  for (const entry of parseIndex(bytes, `index ${descriptor.digest}`).manifests)
    entries.push({
      ID: entry.digest,
      Descriptor: entry,
      Available: await store.hasBlob(entry.digest),
      Shown: entry.digest === chosen.descriptor.digest,
    })
  return entries
}

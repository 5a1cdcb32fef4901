// Which images an archive holds. It says so in up to three ways: index.json, manifest.json and, before Docker 1.10, a
// directory for each layer. Archives of today have the first two side by side, for the same images: what is in the first
// is taken as it is, so that indexes and digests stay whole, and has the names of both.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { formatPlatform, matchesPlatform, type Platform } from '../oci/platform.ts'
import { formatFamiliar, formatReference, type Reference } from '../oci/reference.ts'
import type { BlobSource } from '../store/store.ts'
import { noImageArchive } from './archive-contents.ts'
import type { LoadedImage, LoadWork } from './load-archive.ts'
import {
  type DockerItem,
  type LoadedLayers,
  loadDockerItem,
  readDockerItems,
} from './load-docker-items.ts'
import { type LayoutImageParts, layoutImageParts, readLayoutItems } from './load-layout-items.ts'
import {
  isLegacyArchive,
  type LoadedLegacyLayers,
  loadLegacyItem,
  readLegacyItems,
} from './load-legacy-items.ts'
import { openImage } from './open-image.ts'

/** An image of an archive, before its layers are looked at. */
export interface ArchiveItem extends Pick<LoadedImage, 'names' | 'labels'> {
  readonly runsOn: (platform: Platform) => Promise<boolean>
  /** Checks the layers and packs those that need it. */
  readonly load: () => Promise<Descriptor>
}

/**
 * Finds the images, or those for the platform that is asked for, and leaves all their blobs in the batch.
 * @throws ARCHIVE_INVALID, REFERENCE_INVALID, CHECKSUM_MISMATCH, IMAGE_NOT_FOUND where nothing is for the platform
 */
export async function readArchiveItems(work: LoadWork): Promise<LoadedImage[]> {
  const images: LoadedImage[] = []
  for (const item of await chooseItems(await listItems(work), work.platform))
    images.push(await loadItem(item))
  return images
}

/**
 * Loads an image, with the names that it can have: one with the digest of another image, such as that of a manifest which
 * is made anew, loses the digest, and is dropped where it has no tag.
 */
export async function loadItem({ names, labels = [], load }: ArchiveItem): Promise<LoadedImage> {
  const descriptor = await load()
  const fitting = names.flatMap((name): Reference[] => {
    const { digest, ...bare } = name
    if (digest === undefined || digest === descriptor.digest) return [name]
    return bare.tag === undefined ? [] : [bare]
  })
  return { descriptor, names: fitting, labels }
}

async function listItems(work: LoadWork): Promise<ArchiveItem[]> {
  const { contents } = work
  const has = (name: string): boolean => contents.find(name) !== undefined
  if (has('manifest.json')) return await bothItems(work, has('index.json'))
  if (has('index.json')) return layoutItems(contents.blobs, await readLayoutItems(contents))
  if (isLegacyArchive(work)) return await legacyItems(work)
  throw noImageArchive('it has neither manifest.json nor index.json')
}

/** Those for the platform. @throws IMAGE_NOT_FOUND where there are others only */
export async function chooseItems(
  items: readonly ArchiveItem[],
  platform: Platform | undefined,
): Promise<readonly ArchiveItem[]> {
  if (platform === undefined) return items
  const chosen: ArchiveItem[] = []
  for (const item of items) if (await item.runsOn(platform)) chosen.push(item)
  if (chosen.length > 0 || items.length === 0) return chosen
  const names = items.flatMap(item => item.names.map(formatFamiliar))
  throw new KauriError(
    'IMAGE_NOT_FOUND',
    `the archive has nothing for ${formatPlatform(platform)}`,
    { hint: names.length === 0 ? undefined : `it has ${names.slice(0, 20).join(', ')}` },
  )
}

/** Images that are taken as they are. */
export function layoutItems(blobs: BlobSource, images: readonly LoadedImage[]): ArchiveItem[] {
  return images.map(({ descriptor, names, labels = [] }) => ({
    names,
    labels,
    runsOn: platform => isFor(platform, blobs, descriptor),
    load: async () => descriptor,
  }))
}

/** True where the platform is the image's, or one of an index's. */
async function isFor(
  platform: Platform,
  blobs: BlobSource,
  descriptor: Descriptor,
): Promise<boolean> {
  try {
    await openImage(blobs, descriptor, platform)
    return true
  } catch (error) {
    if (error instanceof KauriError && error.code === 'IMAGE_NOT_FOUND') return false
    throw error
  }
}

interface LayoutImage extends LoadedImage, LayoutImageParts {}

/** The two forms together; an image that only stands in one of them is taken from there. */
async function bothItems(work: LoadWork, hasLayout: boolean): Promise<ArchiveItem[]> {
  const items = await readDockerItems(work)
  const layout: LayoutImage[] = []
  for (const image of hasLayout ? await readLayoutItems(work.contents) : [])
    layout.push({ ...image, ...(await layoutImageParts(work.contents, image)) })
  requireAgreement(items, layout)
  const inItems = new Set(items.map(({ config }) => config.digest))
  const isRemade = ({ isMadeUp, configs }: LayoutImage): boolean =>
    isMadeUp && [...configs].every(config => inItems.has(config))
  const kept = layout.filter(image => !isRemade(image))
  const coverOf = ({ config }: DockerItem): LayoutImage | undefined =>
    kept.find(({ configs }) => configs.has(config.digest))
  const keptWithNames = kept.map(image => ({
    ...image,
    names: namesOf(
      items.filter(item => coverOf(item) === image),
      [image],
    ),
  }))
  const remade = items
    .filter(item => coverOf(item) === undefined)
    .map(item => ({
      ...item,
      names: namesOf(
        [item],
        layout.filter(({ configs }) => configs.has(item.config.digest)),
      ),
    }))
  return [...layoutItems(work.contents.blobs, keptWithNames), ...dockerItems(work, remade)]
}

function dockerItems(work: LoadWork, items: readonly DockerItem[]): ArchiveItem[] {
  const loaded: LoadedLayers = new Map()
  return items.map(item => ({
    names: item.names,
    runsOn: async platform => matchesPlatform(item.platform, platform),
    load: () => loadDockerItem(item, work, loaded),
  }))
}

function namesOf(items: readonly DockerItem[], images: readonly LoadedImage[]): Reference[] {
  const all = [...items, ...images].flatMap(({ names }) => names)
  return [...new Map(all.map(name => [formatReference(name), name])).values()]
}

/** Two readers must never see two different images under one name. @throws ARCHIVE_INVALID */
function requireAgreement(items: readonly DockerItem[], layout: readonly LayoutImage[]): void {
  for (const { names, configs } of layout)
    for (const name of names.map(formatReference)) {
      const other = items.find(item => item.names.some(own => formatReference(own) === name))
      if (other !== undefined && !configs.has(other.config.digest))
        throw new KauriError(
          'ARCHIVE_INVALID',
          `manifest.json and index.json of the archive name different images ${name}`,
          { hint: 'do not trust it: other programs would load another image than this one' },
        )
    }
}

async function legacyItems(work: LoadWork): Promise<ArchiveItem[]> {
  const items = await readLegacyItems(work)
  const loaded: LoadedLegacyLayers = new Map()
  return items.map(item => ({
    names: item.names,
    runsOn: async platform => matchesPlatform(item.platform, platform),
    load: () => loadLegacyItem(item, work, loaded),
  }))
}

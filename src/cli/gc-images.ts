// Images that `kauri gc` is asked to remove: those without a name, or all that no container uses.

import path from 'node:path'
import { listContainers } from '../container/container-records.ts'
import { KauriError } from '../core/errors.ts'
import { openImage } from '../image/open-image.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { StoredImage } from '../store/layout-reader.ts'
import type { FilteredImage, GcFilters } from './gc-filters.ts'

/** An image that goes under all these names. */
export interface ChosenImage extends FilteredImage {
  readonly descriptor: Descriptor
}

/** Reads every image that no container, running or stopped, was made from. */
export async function chooseImages(
  store: DiskStore,
  dataRoot: string,
  { filters, isAll }: { readonly filters: GcFilters; readonly isAll: boolean },
): Promise<ChosenImage[]> {
  const used = new Set<string>(
    listContainers(path.join(dataRoot, 'containers')).map(({ imageDigest }) => imageDigest),
  )
  const byDigest = Map.groupBy(await store.listEntries(), ({ descriptor }) => descriptor.digest)
  const chosen: ChosenImage[] = []
  for (const [digest, names] of byDigest) {
    const [first] = names
    if (first === undefined || !filters.takes({ kind: 'image', id: digest })) continue
    const read = await readImage(store, first, names)
    if (filters.takesImage(read, isAll) && !read.digests.some(each => used.has(each)))
      chosen.push({ ...read, descriptor: first.descriptor })
  }
  return chosen
}

/** Names of the containers, running or stopped, that were made from an image. */
export async function containersOf(
  store: DiskStore,
  dataRoot: string,
  descriptor: Descriptor,
): Promise<string[]> {
  const containers = listContainers(path.join(dataRoot, 'containers'))
  if (containers.length === 0) return []
  const { digests } = await readImage(store, { descriptor, reference: undefined }, [])
  return containers
    .filter(({ imageDigest }) => digests.some(digest => digest === imageDigest))
    .map(({ name }) => name)
}

interface ReadImage extends FilteredImage {
  /** Of the index, the manifest and the configuration: containers may be known by any of them. */
  readonly digests: readonly string[]
}

/** A damaged image has neither labels nor a time. */
async function readImage(
  store: DiskStore,
  { descriptor }: StoredImage,
  names: readonly StoredImage[],
): Promise<ReadImage> {
  try {
    const { config, manifest, descriptor: opened } = await openImage(store, descriptor)
    const createdMs = Date.parse(config.created ?? '')
    return {
      names,
      createdMs: Number.isNaN(createdMs) ? undefined : createdMs,
      labels: config.config?.Labels ?? {},
      digests: [descriptor.digest, opened.digest, manifest.config.digest],
    }
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    return { names, createdMs: undefined, labels: {}, digests: [descriptor.digest] }
  }
}

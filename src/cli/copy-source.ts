// Where `kauri copy` reads from: blobs, and the image among them. Archives cannot be read at any place of theirs, so they
// are unpacked beside the store first.

import { createReadStream, statSync } from 'node:fs'
import path from 'node:path'
import { openScratchDirectory, sweepScratchDirectories } from '../build/scratch-directory.ts'
import { KauriError } from '../core/errors.ts'
import { getImage } from '../image/find-image.ts'
import { type LoadedImage, loadArchive } from '../image/load-archive.ts'
import { directoryBlobs, readLayoutIndex } from '../image/load-directory.ts'
import { layoutImages } from '../image/load-layout-items.ts'
import { chooseEntry } from '../oci/choose-platform.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexType, parseIndex } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import { formatFamiliar, formatReference, parseReference } from '../oci/reference.ts'
import type { Registries } from '../registry/registry.ts'
import { repositoryStore } from '../registry/repository-store.ts'
import { type DiskStore, diskStore } from '../store/disk-store.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { CommandContext } from './command.ts'
import type { CopyLocation } from './copy-location.ts'
import { openStore } from './open-store.ts'

/** An image to copy. Disposing removes what was unpacked for it. */
export interface CopySource extends AsyncDisposable {
  readonly blobs: BlobSource
  readonly descriptor: Descriptor
  /** The store that has the blobs, where it is one on disk. */
  readonly disk?: DiskStore
  /** The repository of a registry that has them. */
  readonly repository?: { readonly registry: string; readonly repository: string }
}

type Kind<K extends CopyLocation['kind']> = Extract<CopyLocation, { kind: K }>

/** Opens the image, or of an index the one for the platform. @throws IMAGE_NOT_FOUND, ARCHIVE_INVALID, REGISTRY_FAILED */
export async function openCopySource(
  location: CopyLocation,
  platform: Platform | undefined,
  { context, registries }: { readonly context: CommandContext; readonly registries: Registries },
): Promise<CopySource> {
  const source = await openWhole(location, context, registries)
  if (platform === undefined || !isIndexType(source.descriptor.mediaType)) return source
  const { digest } = source.descriptor
  const { manifests } = parseIndex(await readBlob(source.blobs, source.descriptor), digest)
  return { ...source, descriptor: chooseEntry(manifests, platform, digest) }
}

async function openWhole(
  location: CopyLocation,
  context: CommandContext,
  registries: Registries,
): Promise<CopySource> {
  switch (location.kind) {
    case 'store': {
      const store = openStore(context)
      const { descriptor } = await getImage(store, location.name)
      return { blobs: store, disk: store, descriptor, ...nothingToUndo }
    }
    case 'registry':
      return await openRemote(location, context, registries)
    case 'oci-directory': {
      const index = parseIndex(
        readLayoutIndex(location.path),
        path.join(location.path, 'index.json'),
      )
      const { descriptor } = chooseImage(layoutImages(index.manifests), location)
      return { blobs: directoryBlobs(location.path), descriptor, ...nothingToUndo }
    }
    case 'oci-archive':
    case 'docker-archive':
      return await openArchive(location, context)
    default:
      return location satisfies never
  }
}

const nothingToUndo: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} }

async function openRemote(
  { reference }: Kind<'registry'>,
  { signal }: CommandContext,
  registries: Registries,
): Promise<CopySource> {
  const blobs = repositoryStore(registries.repository(reference), { signal })
  const descriptor = await blobs.findImage(reference)
  if (descriptor === undefined)
    throw new KauriError('IMAGE_NOT_FOUND', `there is no image ${formatFamiliar(reference)}`)
  return { blobs, descriptor, repository: reference, ...nothingToUndo }
}

async function openArchive(
  location: Kind<'oci-archive' | 'docker-archive'>,
  { dataRoot, emit, signal }: CommandContext,
): Promise<CopySource> {
  const file = location.path
  if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true)
    throw new KauriError('FILE_NOT_FOUND', `there is no file ${file}`)
  await using undo = new AsyncDisposableStack()
  await sweepScratchDirectories(dataRoot)
  const scratch = undo.use(await openScratchDirectory(dataRoot))
  const store = diskStore(path.join(scratch.path, 'oci'))
  const bytes = createReadStream(file, { highWaterMark: 1024 * 1024 })
  const images = await loadArchive(store, bytes, { name: file, emit, signal })
  const { descriptor } = chooseImage(images, location)
  const kept = undo.move()
  return {
    blobs: store,
    disk: store,
    descriptor,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** The image with that name or label; without one the only image. */
function chooseImage(
  images: readonly LoadedImage[],
  { path: place, label }: { readonly path: string; readonly label: string | undefined },
): LoadedImage {
  const fitting = label === undefined ? images : images.filter(image => hasName(image, label))
  const [only] = fitting
  if (only !== undefined && fitting.length === 1) return only
  const names = images.flatMap(({ names: own, labels = [] }) => [
    ...new Set([...own.map(formatFamiliar), ...labels]),
  ])
  const hint = names.length === 0 ? undefined : `it has ${names.slice(0, 20).join(', ')}`
  throw new KauriError(
    'IMAGE_NOT_FOUND',
    label === undefined
      ? `${place} holds ${images.length} images: say which one`
      : `${place} has no image ${label}`,
    { hint },
  )
}

function hasName({ names, labels = [] }: LoadedImage, label: string): boolean {
  if (labels.includes(label)) return true
  try {
    const wanted = formatReference(parseReference(label))
    return names.some(name => formatReference(name) === wanted)
  } catch {
    // Labels of other programs need not be names.
    return false
  }
}

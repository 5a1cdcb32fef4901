// Loads the images of an OCI layout directory, or the one of a directory of skopeo's. The directory is only read, and nothing in it is trusted: blobs are regular
// files, and checked while they are copied.

import {
  closeSync,
  constants,
  createReadStream,
  fstatSync,
  openSync,
  readFileSync,
  statSync,
} from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import { type Descriptor, readMediaType } from '../oci/descriptor.ts'
import { type Digest, digestOf, hexOf } from '../oci/digest.ts'
import {
  documentLimits,
  documentPlace,
  foreignIndexLimits,
  objectReader,
  parseJsonText,
} from '../oci/json-shape.ts'
import { parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { copyBlobs } from '../store/copy-image.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { type PlanCopyOptions, planCopy } from '../store/plan-copy.ts'
import type { BlobSource } from '../store/store.ts'
import { verifiedStream, wrongSize } from '../store/verified-stream.ts'
import { noImageArchive } from './archive-contents.ts'
import { chooseItems, layoutItems, loadItem } from './archive-items.ts'
import { oneChunk } from './create-image.ts'
import { type LoadedImage, type LoadOptions, nameImage, storedSize } from './load-archive.ts'
import { layoutImages } from './load-layout-items.ts'

/** @throws ARCHIVE_INVALID for what is no layout, BLOB_NOT_FOUND, BLOB_CORRUPT, IMAGE_NOT_FOUND, DISK_FULL, CANCELLED */
export async function loadDirectory(
  store: DiskStore,
  directory: string,
  { name, platform, signal, emit }: LoadOptions,
): Promise<LoadedImage[]> {
  using _ = store.openBatch()
  const { source, found } = transportDirectory(directory) ?? layoutDirectory(directory)
  const images = await chooseItems(layoutItems(source, found), platform)
  if (images.length === 0) throw noImageArchive('it names no image')
  const loaded: LoadedImage[] = []
  await inStep(emit, { id: 'load', title: `load ${name}` }, async () => {
    for (const item of images) {
      const image = await loadItem(item)
      await copyBlobs(source, store, image.descriptor, { platform, signal })
      await requireSizes(store, image.descriptor, { platform, signal })
      loaded.push(image)
    }
  })
  for (const image of loaded) await nameImage(store, image)
  return loaded
}

/** What was here before is not copied, whatever length the image says it has. @throws BLOB_CORRUPT */
async function requireSizes(
  store: DiskStore,
  descriptor: Descriptor,
  options: PlanCopyOptions,
): Promise<void> {
  const { configs, blobs } = await planCopy(store, descriptor, options)
  for (const { digest, size } of [...configs, ...blobs]) {
    const found = storedSize(store, digest)
    if (found !== size) throw wrongSize(digest, size, found ?? 'no')
  }
}

interface ImageDirectory {
  readonly source: BlobSource
  readonly found: readonly LoadedImage[]
}

function layoutDirectory(directory: string): ImageDirectory {
  const file = path.join(directory, 'index.json')
  const { manifests } = parseIndex(readLayoutIndex(directory), file, foreignIndexLimits)
  return { source: directoryBlobs(directory), found: layoutImages(manifests) }
}

/**
 * A directory as skopeo's `dir:` and podman's docker-dir write it: manifest.json is the image's own, and its blobs lie beside
 * it, named by their digests, manifests of an index with `.manifest.json` behind. Undefined for any other directory.
 */
function transportDirectory(directory: string): ImageDirectory | undefined {
  const file = path.join(directory, 'manifest.json')
  if (!statSync(path.join(directory, 'version'), { throwIfNoEntry: false })?.isFile())
    return undefined
  const found = statSync(file, { throwIfNoEntry: false })
  if (!found?.isFile() || found.size > documentLimits.maxBytes) return undefined
  const bytes = readFileSync(file)
  const place = documentPlace(file, 'ARCHIVE_INVALID')
  const members = objectReader(parseJsonText(bytes, place), place)
  const isIndex = members.optional('manifests', value => value) !== undefined
  const usual = isIndex ? mediaTypes.index : mediaTypes.manifest
  const mediaType = members.optional('mediaType', readMediaType) ?? usual
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length }
  const beside = filesSource(directory, digest => {
    const name = path.join(directory, hexOf(digest))
    return [name, `${name}.manifest.json`]
  })
  const source: BlobSource = {
    hasBlob: async digest => digest === descriptor.digest || (await beside.hasBlob(digest)),
    openBlob: async wanted =>
      wanted.digest === descriptor.digest
        ? verifiedStream(oneChunk(bytes), wanted)
        : await beside.openBlob(wanted),
  }
  return { source, found: [{ descriptor, names: [] }] }
}

/** The bytes of a layout's index.json. @throws ARCHIVE_INVALID for what is no layout */
export function readLayoutIndex(directory: string): Uint8Array {
  try {
    return readFileSync(path.join(directory, 'index.json'))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EISDIR')) throw noImageArchive('it has no index.json')
    throw error
  }
}

/** Blobs of a layout that somebody else owns; a name that is a link, a pipe or a device counts as missing. */
export function directoryBlobs(directory: string): BlobSource {
  return filesSource(directory, digest => [path.join(directory, 'blobs', 'sha256', hexOf(digest))])
}

function filesSource(
  directory: string,
  filesOf: (digest: Digest) => readonly string[],
): BlobSource {
  const open = (digest: Digest): number | undefined => {
    for (const file of filesOf(digest)) {
      const fd = openRegular(file)
      if (fd !== undefined) return fd
    }
    return undefined
  }
  return {
    async hasBlob(digest) {
      const fd = open(digest)
      if (fd !== undefined) closeSync(fd)
      return fd !== undefined
    },
    async openBlob(descriptor) {
      const { digest, size } = descriptor
      const fd = open(digest)
      if (fd === undefined)
        throw new KauriError('BLOB_NOT_FOUND', `the blob ${digest} is not in ${directory}`)
      const found = fstatSync(fd)
      if (found.isFile() && found.size === size)
        return verifiedStream(createReadStream('', { fd, highWaterMark: 512 * 1024 }), descriptor)
      closeSync(fd)
      throw wrongSize(digest, size, found.size)
    },
  }
}

function openRegular(file: string): number | undefined {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  try {
    return openSync(file, flags)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined
    throw error
  }
}

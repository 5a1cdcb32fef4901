// Loads the images of an OCI layout directory. The directory is only read, and nothing in it is trusted: blobs are regular
// files, and checked while they are copied.

import { closeSync, constants, createReadStream, fstatSync, openSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import { type Digest, hexOf } from '../oci/digest.ts'
import { parseIndex } from '../oci/manifest.ts'
import { copyBlobs } from '../store/copy-image.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BlobSource } from '../store/store.ts'
import { verifiedStream, wrongSize } from '../store/verified-stream.ts'
import { noImageArchive } from './archive-contents.ts'
import { type LoadedImage, type LoadOptions, nameImage } from './load-archive.ts'
import { layoutImages } from './load-layout-items.ts'

/** @throws ARCHIVE_INVALID for what is no layout, BLOB_NOT_FOUND, BLOB_CORRUPT, DISK_FULL, CANCELLED */
export async function loadDirectory(
  store: DiskStore,
  directory: string,
  { name, signal, emit }: LoadOptions,
): Promise<LoadedImage[]> {
  using _ = store.openBatch()
  const images = layoutImages(
    parseIndex(readLayoutIndex(directory), path.join(directory, 'index.json')).manifests,
  )
  if (images.length === 0) throw noImageArchive('it names no image')
  const source = directoryBlobs(directory)
  await inStep(emit, { id: 'load', title: `load ${name}` }, async () => {
    for (const { descriptor } of images) await copyBlobs(source, store, descriptor, { signal })
  })
  for (const image of images) await nameImage(store, image)
  return images
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
  const open = (digest: Digest): number | undefined => {
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
    try {
      return openSync(path.join(directory, 'blobs', 'sha256', hexOf(digest)), flags)
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined
      throw error
    }
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

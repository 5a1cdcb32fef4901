// Opens an image by the digest of its manifest alone, as build plans name the images that stages start from.

import { readFileSync } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { Image } from './image.ts'
import { openImage } from './open-image.ts'

/** @throws BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID, UNSUPPORTED */
export async function openStoredManifest(
  store: Pick<DiskStore, 'blobPath' | 'openBlob' | 'readWhole'>,
  digest: Digest,
): Promise<Image> {
  const bytes = readManifest(store.blobPath(digest), digest)
  const { mediaType } = parseManifest(bytes, `manifest ${digest}`)
  return await openImage(store, { mediaType, digest, size: bytes.byteLength })
}

function readManifest(file: string, digest: Digest): Uint8Array {
  try {
    const bytes = readFileSync(file)
    if (digestOf(bytes) === digest) return bytes
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error
    throw new KauriError('BLOB_NOT_FOUND', `the manifest ${digest} is not stored`, {
      cause: error,
    })
  }
  throw new KauriError('BLOB_CORRUPT', `the stored manifest ${digest} has other bytes`)
}

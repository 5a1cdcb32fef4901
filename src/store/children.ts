// What a blob refers to: the edges that copying, tagging and garbage collection follow.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType, isManifestType, parseIndex, parseManifest } from '../oci/manifest.ts'
import type { BlobSource } from './store.ts'
import { readBlob } from './verified-stream.ts'

/** A blob's children; `optional` ones may be missing: an index lists platforms that nobody here asked for. */
export interface Child {
  readonly descriptor: Descriptor
  readonly optional: boolean
}

/** Children of a manifest or an index, none for anything else. @throws BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID */
export async function childrenOf(
  store: BlobSource,
  descriptor: Descriptor,
): Promise<readonly Child[]> {
  const { mediaType } = descriptor
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return []
  return childrenIn(descriptor, await readBlob(store, descriptor))
}

/** The same from the document's bytes; the configuration of a manifest comes first. @throws ARCHIVE_INVALID */
export function childrenIn({ mediaType, digest }: Descriptor, bytes: Uint8Array): readonly Child[] {
  if (isIndexType(mediaType))
    return parseIndex(bytes, `index ${digest}`).manifests.map(child => ({
      descriptor: child,
      optional: true,
    }))
  const manifest = parseManifest(bytes, `manifest ${digest}`)
  return [manifest.config, ...manifest.layers].map(child => ({
    descriptor: child,
    // Layers with addresses of their own are fetched from there by those who may have them.
    optional: (child.urls?.length ?? 0) > 0,
  }))
}

/**
 * Nobody may find a name whose image cannot be opened. `sizeOf` tells the length of a stored blob where that is known.
 * @throws BLOB_NOT_FOUND, ARCHIVE_INVALID where a manifest lies about the size of what it refers to
 */
export async function requireWhole(
  store: BlobSource,
  descriptor: Descriptor,
  sizeOf: (digest: Digest) => number | undefined = () => undefined,
): Promise<void> {
  if (!(await store.hasBlob(descriptor.digest)))
    throw new KauriError('BLOB_NOT_FOUND', `the manifest ${descriptor.digest} is not stored`)
  for (const { descriptor: child, optional } of await childrenOf(store, descriptor)) {
    if (!(await store.hasBlob(child.digest))) {
      if (optional) continue
      throw new KauriError(
        'BLOB_NOT_FOUND',
        `the image ${descriptor.digest} needs the blob ${child.digest}, which is not stored`,
      )
    }
    const actual = sizeOf(child.digest) ?? child.size
    if (actual !== child.size)
      throw new KauriError(
        'ARCHIVE_INVALID',
        `the image ${descriptor.digest} says that ${child.digest} has ${child.size} bytes; it has ${actual}`,
        { hint: 'if the image is a good one, kauri fsck tells which of its blobs is damaged' },
      )
  }
}

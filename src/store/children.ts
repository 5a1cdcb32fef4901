// What a blob refers to: the edges that copying, tagging and garbage collection follow.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
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
  const { mediaType, digest } = descriptor
  if (isManifestType(mediaType)) {
    const manifest = parseManifest(await readBlob(store, descriptor), `manifest ${digest}`)
    return [manifest.config, ...manifest.layers].map(child => ({
      descriptor: child,
      // Layers with addresses of their own are fetched from there by those who may have them.
      optional: (child.urls?.length ?? 0) > 0,
    }))
  }
  if (isIndexType(mediaType)) {
    const index = parseIndex(await readBlob(store, descriptor), `index ${digest}`)
    return index.manifests.map(child => ({ descriptor: child, optional: true }))
  }
  return []
}

/** Nobody may find a name whose image cannot be opened. @throws BLOB_NOT_FOUND */
export async function requireWhole(store: BlobSource, descriptor: Descriptor): Promise<void> {
  if (!(await store.hasBlob(descriptor.digest)))
    throw new KauriError('BLOB_NOT_FOUND', `the manifest ${descriptor.digest} is not stored`)
  for (const { descriptor: child, optional } of await childrenOf(store, descriptor))
    if (!(await store.hasBlob(child.digest)) && !optional)
      throw new KauriError(
        'BLOB_NOT_FOUND',
        `the image ${descriptor.digest} needs the blob ${child.digest}, which is not stored`,
      )
}

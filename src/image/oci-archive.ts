// An image as an OCI image layout (image-spec v1.1.1 image-layout.md), in a tar or as a directory: every blob as it is
// stored, so digests stay what they are.

import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { asDiskFull, temporaryBeside } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { type Descriptor, refNameAnnotation } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { formatReference, type Reference } from '../oci/reference.ts'
import { childrenOf } from '../store/children.ts'
import type { BlobSource } from '../store/store.ts'
import { type ArchiveFile, blobName, documentFile, tarOf } from './archive-entry.ts'

/** What index.json lists: an image or an index of several, and its names. */
export interface LayoutRoot {
  readonly descriptor: Descriptor
  readonly names: readonly Reference[]
  /** Names of other programs' kind, such as a tag alone; kept as they are. */
  readonly labels?: readonly string[]
}

/** The archive's bytes, streamed from the store. @throws BLOB_NOT_FOUND, BLOB_CORRUPT */
export async function* ociArchive(
  store: BlobSource,
  roots: readonly LayoutRoot[],
): AsyncGenerator<Uint8Array> {
  yield* tarOf(await layoutFiles(store, roots))
}

/**
 * Writes the layout as a directory; it appears when it is complete.
 * @throws USAGE where the path is taken, DISK_FULL, CANCELLED
 */
export async function writeOciDirectory(
  store: BlobSource,
  roots: readonly LayoutRoot[],
  target: { readonly directory: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { directory, signal } = target
  const temporary = temporaryBeside(directory)
  try {
    await mkdir(path.join(temporary, 'blobs', 'sha256'), { recursive: true })
    for (const file of await layoutFiles(store, roots)) {
      const output = createWriteStream(path.join(temporary, file.name), { flags: 'wx' })
      await pipeline(file.open(), output, signal === undefined ? {} : { signal })
    }
    await rename(temporary, directory)
  } catch (error) {
    throw asDiskFull(error, directory)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** The files of a layout: its marker, its index and every blob. */
export async function layoutFiles(
  store: BlobSource,
  roots: readonly LayoutRoot[],
): Promise<ArchiveFile[]> {
  const blobs = new Map<Digest, Descriptor>()
  for (const { descriptor } of roots) await collectBlobs(store, descriptor, blobs)
  const index = roots.flatMap(rootEntries)
  return [
    documentFile('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
    documentFile(
      'index.json',
      canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: index }),
    ),
    ...[...blobs.values()]
      .toSorted((a, b) => (a.digest < b.digest ? -1 : 1))
      .map(descriptor => blobFile(store, descriptor)),
  ]
}

/** What index.json says of an image: an entry for each name. */
export function rootEntries({ descriptor, names, labels = [] }: LayoutRoot): Descriptor[] {
  const { annotations: _, ...bare } = descriptor
  if (names.length === 0 && labels.length === 0) return [bare]
  const named = names.map(name => ({
    ...bare,
    annotations: {
      [refNameAnnotation]: formatReference(name),
      'io.containerd.image.name': formatReference(name),
    },
  }))
  const labelled = labels.map(label => ({ ...bare, annotations: { [refNameAnnotation]: label } }))
  return [...named, ...labelled]
}

async function collectBlobs(
  store: BlobSource,
  descriptor: Descriptor,
  found: Map<Digest, Descriptor>,
): Promise<void> {
  if (found.has(descriptor.digest)) return
  found.set(descriptor.digest, descriptor)
  for (const { descriptor: child, optional } of await childrenOf(store, descriptor)) {
    if (await store.hasBlob(child.digest, child.mediaType)) await collectBlobs(store, child, found)
    else if (!optional)
      throw new KauriError('BLOB_NOT_FOUND', `the image needs ${child.digest}, which is not stored`)
  }
}

function blobFile(store: BlobSource, descriptor: Descriptor): ArchiveFile {
  return {
    name: blobName(descriptor.digest),
    size: descriptor.size,
    async *open() {
      yield* await store.openBlob(descriptor)
    },
  }
}

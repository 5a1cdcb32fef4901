// Adds images to a directory with an OCI image layout (image-spec v1.1.1 image-layout.md) that may hold others already.

import { createWriteStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  asDiskFull,
  sweepTemporaries,
  temporaryBeside,
  writeFileAtomic,
} from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type Descriptor, refNameAnnotation } from '../oci/descriptor.ts'
import { parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { BlobSource } from '../store/store.ts'
import { type LayoutRoot, layoutFiles, rootEntries, writeOciDirectory } from './oci-archive.ts'

/**
 * Writes the images; those of the same names make way. A directory that is new appears when it is complete; in one that is
 * there the index is replaced last.
 * @throws USAGE where the directory holds something else, DISK_FULL, CANCELLED
 */
export async function addToOciDirectory(
  store: BlobSource,
  roots: readonly LayoutRoot[],
  target: { readonly directory: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { directory, signal } = target
  const names = namesIn(directory)
  if (names === undefined) {
    await mkdir(path.dirname(directory), { recursive: true })
    return await writeOciDirectory(store, roots, target)
  }
  if (names.length > 0 && !names.includes('oci-layout'))
    throw new KauriError('USAGE', `${directory} holds something other than an OCI image layout`, {
      hint: 'name an empty directory, or one that is not there yet',
    })
  try {
    await addFiles(store, roots, { directory, signal })
  } catch (error) {
    throw asDiskFull(error, directory)
  }
}

function namesIn(directory: string): string[] | undefined {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw hasErrno(error, 'ENOTDIR')
      ? new KauriError('USAGE', `${directory} is no directory`, { cause: error })
      : error
  }
}

async function addFiles(
  store: BlobSource,
  roots: readonly LayoutRoot[],
  { directory, signal }: { readonly directory: string; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const index = path.join(directory, 'index.json')
  await mkdir(path.join(directory, 'blobs', 'sha256'), { recursive: true })
  sweepTemporaries(path.join(directory, 'blobs', 'sha256', 'any'))
  for (const { name, size, open } of await layoutFiles(store, roots)) {
    const file = path.join(directory, name)
    if (file === index || statSync(file, { throwIfNoEntry: false })?.size === size) continue
    const temporary = temporaryBeside(file)
    try {
      const output = createWriteStream(temporary, { flags: 'wx', flush: true })
      await pipeline(open(), output, signal === undefined ? {} : { signal })
      await rename(temporary, file)
    } finally {
      await rm(temporary, { force: true })
    }
  }
  const added = roots.flatMap(rootEntries)
  const manifests = [...keptEntries(index, added), ...added]
  const document = { schemaVersion: 2, mediaType: mediaTypes.index, manifests }
  await writeFileAtomic(index, canonicalJson(document))
}

/** The entries that no added one takes the place of. */
function keptEntries(file: string, added: readonly Descriptor[]): readonly Descriptor[] {
  const nameOf = ({ annotations }: Descriptor): string | undefined =>
    annotations?.[refNameAnnotation]
  try {
    const { manifests } = parseIndex(readFileSync(file), file)
    return manifests.filter(
      entry =>
        !added.some(one =>
          nameOf(entry) === undefined ? one.digest === entry.digest : nameOf(one) === nameOf(entry),
        ),
    )
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

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
import { hexOf } from '../oci/digest.ts'
import { parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { childrenOf } from '../store/children.ts'
import { lockStore } from '../store/layout-lock.ts'
import { layoutReader } from '../store/layout-reader.ts'
import type { BlobSource } from '../store/store.ts'
import { type LayoutRoot, layoutFiles, rootEntries, writeOciDirectory } from './oci-archive.ts'

export interface OciDirectoryTarget {
  readonly directory: string
  /** Removes the blobs that nothing in the index refers to any more, for directories that are written again and again. */
  readonly prunes?: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Writes the images; those of the same names make way. A directory that is new appears when it is complete; in one that is
 * there the index is replaced last. Writers of one directory wait for each other.
 * @throws USAGE where the directory holds something else, DISK_FULL, LOCK_BUSY, CANCELLED
 */
export async function addToOciDirectory(
  store: BlobSource,
  roots: readonly LayoutRoot[],
  target: OciDirectoryTarget,
): Promise<void> {
  const { directory, prunes = false, signal } = target
  if (namesIn(directory) === undefined && (await writeNew(store, roots, target))) return
  const names = namesIn(directory) ?? []
  if (names.length > 0 && !names.includes('oci-layout'))
    throw new KauriError('USAGE', `${directory} holds something other than an OCI image layout`, {
      hint: 'name an empty directory, or one that is not there yet',
    })
  const lock = await lockStore(path.join(directory, 'index.lock'), 'exclusive', signal)
  try {
    await addFiles(store, roots, { directory, signal })
    if (prunes) await pruneBlobs(directory)
  } catch (error) {
    throw asDiskFull(error, directory)
  } finally {
    lock.removeAndRelease()
  }
}

/** False where somebody else made the directory meanwhile. */
async function writeNew(
  store: BlobSource,
  roots: readonly LayoutRoot[],
  target: OciDirectoryTarget,
): Promise<boolean> {
  await mkdir(path.dirname(target.directory), { recursive: true })
  try {
    await writeOciDirectory(store, roots, target)
    return true
  } catch (error) {
    if (namesIn(target.directory) === undefined) throw error
    return false
  }
}

/** Platforms that are not there, and what is damaged, refer to nothing. */
async function readableChildren(
  source: BlobSource,
  descriptor: Descriptor,
): Promise<readonly Descriptor[]> {
  try {
    return (await childrenOf(source, descriptor)).map(child => child.descriptor)
  } catch (error) {
    if (error instanceof KauriError) return []
    throw error
  }
}

const blobForm = /^[0-9a-f]{64}$/

async function pruneBlobs(directory: string): Promise<void> {
  const reader = layoutReader(directory)
  // Nothing of a directory that is the user's is marked as used.
  const source: BlobSource = { ...reader, hasBlob: async () => true }
  const kept = new Set<string>()
  const waiting = (await reader.listEntries()).map(({ descriptor }) => descriptor)
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (kept.has(hexOf(next.digest))) continue
    kept.add(hexOf(next.digest))
    waiting.push(...(await readableChildren(source, next)))
  }
  const blobs = path.join(directory, 'blobs', 'sha256')
  for (const name of namesIn(blobs) ?? [])
    if (blobForm.test(name) && !kept.has(name)) await rm(path.join(blobs, name), { force: true })
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
  try {
    const { manifests } = parseIndex(readFileSync(file), file)
    return manifests.filter(
      entry =>
        !added.some(one =>
          refNameOf(entry) === undefined
            ? one.digest === entry.digest
            : refNameOf(one) === refNameOf(entry),
        ),
    )
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

function refNameOf({ annotations }: Descriptor): string | undefined {
  return annotations?.[refNameAnnotation]
}

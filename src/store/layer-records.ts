// What is known of a layer beside its blob: which blobs hold the same tar, packed how, and how long the tar is. Saves
// packing and measuring again. Derivable, so it is written without waiting for the disk and a missing record is no error.

import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { writeCacheRecord } from '../core/atomic-file.ts'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { readDescriptor } from '../oci/descriptor.ts'
import { type DiffId, type Digest, hexOf } from '../oci/digest.ts'
import { documentPlace, objectReader, parseJsonText, readSize } from '../oci/json-shape.ts'
import type { LayoutPaths } from './layout-paths.ts'

/** One blob that holds a layer's tar. */
export interface LayerRecord {
  readonly diffId: DiffId
  readonly mediaType: string
  readonly digest: Digest
  /** Bytes of the blob. */
  readonly size: number
  /** Bytes of the tar. */
  readonly tarBytes: number
}

/** Remembers a packing; idempotent. */
export async function writeLayerRecord(paths: LayoutPaths, record: LayerRecord): Promise<void> {
  const { diffId, mediaType, digest, size, tarBytes } = record
  const packing = { mediaType, digest, size, tarBytes }
  const file = path.join(paths.diffIds, hexOf(diffId), `${hexOf(digest)}.json`)
  await writeCacheRecord(file, JSON.stringify(packing))
}

/** Every packing remembered of a tar, sorted by digest; whether the blobs are still there is the caller's question. */
export function readLayerRecords(paths: LayoutPaths, diffId: DiffId): LayerRecord[] {
  const directory = path.join(paths.diffIds, hexOf(diffId))
  return recordNames(directory)
    .map(name => readLayerRecord(path.join(directory, name), diffId))
    .filter(record => record !== undefined)
}

function recordNames(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter(name => name.endsWith('.json'))
      .toSorted()
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** A record that a crash tore counts as missing. */
function readLayerRecord(file: string, diffId: DiffId): LayerRecord | undefined {
  const place = documentPlace(file, 'STORE_INVALID')
  try {
    const value = parseJsonText(readFileSync(file), place)
    const { mediaType, digest, size } = readDescriptor(value, place)
    const tarBytes = objectReader(value, place).required('tarBytes', readSize)
    return { diffId, mediaType, digest, size, tarBytes }
  } catch (error) {
    if (error instanceof KauriError || hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

/** Forgets the packings whose blobs are gone. */
export async function sweepLayerRecords(
  paths: LayoutPaths,
  isStored: (hex: string) => boolean,
): Promise<void> {
  for (const hex of namesIn(paths.diffIds)) {
    const directory = path.join(paths.diffIds, hex)
    const names = recordNames(directory)
    const gone = names.filter(name => !isStored(path.basename(name, '.json')))
    for (const name of gone) await rm(path.join(directory, name), { force: true })
    if (gone.length === names.length) await rm(directory, { recursive: true, force: true })
  }
}

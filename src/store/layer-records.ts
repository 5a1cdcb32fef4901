// What is known of a layer beside its blob: which blobs hold the same tar, packed how, and how long the tar is. Saves
// packing and measuring again. Derivable, so it is written without waiting for the disk and a missing record is no error.

import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { asDiskFull, temporaryBeside } from '../core/atomic-file.ts'
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
  // Beside the index, where the next writer sweeps what a killed one left.
  const temporary = temporaryBeside(paths.index)
  try {
    await writeFile(temporary, JSON.stringify(packing), { flag: 'wx', mode: 0o644 })
    await moveInto(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw asDiskFull(error, file)
  }
}

/** A sweep may remove the directory between the two steps. */
async function moveInto(temporary: string, file: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await mkdir(path.dirname(file), { recursive: true })
      return await rename(temporary, file)
    } catch (error) {
      if (!hasErrno(error, 'ENOENT') || attempt === 10) throw error
    }
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

export interface SweepRecords {
  /** True for blobs whose packings are remembered on. */
  readonly isStored: (hex: string) => boolean
  /** Hex of the diff IDs to look at; left out: all. */
  readonly diffIds?: Iterable<string> | undefined
  readonly dryRun?: boolean
}

/** Forgets the packings whose blobs are gone, and tells their files. */
export async function sweepLayerRecords(
  paths: LayoutPaths,
  { isStored, diffIds = namesIn(paths.diffIds), dryRun = false }: SweepRecords,
): Promise<string[]> {
  const swept: string[] = []
  for (const hex of diffIds) {
    const directory = path.join(paths.diffIds, hex)
    const names = recordNames(directory)
    const gone = names.filter(name => !isStored(path.basename(name, '.json')))
    swept.push(...gone.map(name => path.join(directory, name)))
    if (dryRun) continue
    for (const name of gone) await rm(path.join(directory, name), { force: true })
    if (gone.length === names.length) await removeIfEmpty(directory)
  }
  return swept
}

async function removeIfEmpty(directory: string): Promise<void> {
  try {
    await rmdir(directory)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTEMPTY', 'ENOTDIR')) throw error
  }
}

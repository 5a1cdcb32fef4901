// index.json of the store: which images there are and what they are called. Other programs may write it at any moment,
// some of them in place and without a lock: reading tolerates a torn file for a while, writing starts again when the
// file changed meanwhile, and members and annotations that kauri does not know are kept as they are.

import { readdirSync, rmSync } from 'node:fs'
import { open, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asDiskFull, syncDirectory, temporaryBeside, temporaryPrefix } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type Descriptor, readDescriptor, refNameAnnotation } from '../oci/descriptor.ts'
import {
  documentPlace,
  layoutIndexLimits,
  listOf,
  objectReader,
  parseJsonText,
  readMembers,
} from '../oci/json-shape.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { formatReference, parseReference, type Reference } from '../oci/reference.ts'
import { ensureLayout, type LayoutPaths, lockStore } from './layout-paths.ts'

/** One line of the index. */
export interface LayoutEntry {
  /** undefined for what kauri cannot read, such as a sha512 digest; kept all the same. */
  readonly descriptor: Descriptor | undefined
  /** undefined for an image without a name, or with one outside the grammar. */
  readonly reference: Reference | undefined
  /** The JSON object as it was read. */
  readonly raw: Readonly<Record<string, unknown>>
}

interface LayoutIndex {
  readonly members: Readonly<Record<string, unknown>>
  readonly entries: readonly LayoutEntry[]
  /** Tells one state of the file from another; `absent` where there is no file. */
  readonly stamp: string
}

/** The entry that index.json gets for an image; `reference` undefined: an image without a name. */
export function layoutEntry(descriptor: Descriptor, reference: Reference | undefined): LayoutEntry {
  const { [refNameAnnotation]: _, ...others } = descriptor.annotations ?? {}
  const name = reference === undefined ? {} : { [refNameAnnotation]: formatReference(reference) }
  const annotations = { ...others, ...name }
  const { annotations: __, ...bare } = descriptor
  const named: Descriptor = Object.keys(annotations).length === 0 ? bare : { ...bare, annotations }
  return { descriptor: named, reference, raw: { ...named } }
}

/** Every entry, in the file's order. @throws STORE_INVALID where the file stays unreadable */
export async function readLayoutEntries(paths: LayoutPaths): Promise<readonly LayoutEntry[]> {
  return (await readLayoutIndex(paths)).entries
}

/**
 * Changes the index; atomic and durable. `change` may be called again when another program changed the file meanwhile,
 * and returns undefined for nothing to do. True when something was written.
 * @throws LOCK_BUSY, STORE_INVALID, DISK_FULL
 */
export async function changeLayoutEntries(
  paths: LayoutPaths,
  change: (entries: readonly LayoutEntry[]) => readonly LayoutEntry[] | undefined,
): Promise<boolean> {
  ensureLayout(paths)
  using _ = await lockStore(paths.indexLock, 'exclusive')
  for (;;) {
    const index = await readLayoutIndex(paths)
    const changed = change(index.entries)
    if (changed === undefined) return false
    const document = {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      ...index.members,
      manifests: changed.map(entry => entry.raw),
    }
    if (await replaceIndex(paths, JSON.stringify(document), index.stamp)) return true
  }
}

/** False when the file is no longer what was read. What a killed writer left is swept here: the caller holds the lock. */
async function replaceIndex(paths: LayoutPaths, text: string, stamp: string): Promise<boolean> {
  sweepTemporaries(paths)
  const temporary = temporaryBeside(paths.index)
  try {
    const file = await open(temporary, 'wx', 0o644)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    if ((await stampOf(paths.index)) !== stamp) return false
    await rename(temporary, paths.index)
    await syncDirectory(paths.root)
    return true
  } catch (error) {
    throw asDiskFull(error, paths.index)
  } finally {
    await rm(temporary, { force: true })
  }
}

function sweepTemporaries({ root }: LayoutPaths): void {
  for (const name of readdirSync(root))
    if (name.startsWith(temporaryPrefix)) rmSync(path.join(root, name), { force: true })
}

async function stampOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(file, { bigint: true })
    return `${ino}-${size}-${mtimeNs}`
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return 'absent'
    throw error
  }
}

const tornRetries = 12

async function readLayoutIndex(paths: LayoutPaths): Promise<LayoutIndex> {
  for (let attempt = 0; ; attempt++) {
    const stamp = await stampOf(paths.index)
    try {
      return { ...parseLayoutIndex(await readIfThere(paths.index), paths.index), stamp }
    } catch (error) {
      // Some tools truncate the file and write it anew, so half of it may be seen; all of it within a few milliseconds.
      if (!(error instanceof KauriError) || attempt >= tornRetries) throw error
      await sleep(2 ** Math.min(attempt, 7))
    }
  }
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  try {
    const handle = await open(file, 'r')
    try {
      return await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function parseLayoutIndex(bytes: Uint8Array | undefined, file: string): Omit<LayoutIndex, 'stamp'> {
  if (bytes === undefined) return { members: {}, entries: [] }
  const place = documentPlace(file, 'STORE_INVALID')
  const members = readMembers(parseJsonText(bytes, place, layoutIndexLimits), place)
  const entries = objectReader(members, place).optional('manifests', listOf(readMembers)) ?? []
  return { members, entries: entries.map(raw => readEntry(raw, file)) }
}

function readEntry(raw: Readonly<Record<string, unknown>>, file: string): LayoutEntry {
  const descriptor = unlessInvalid(() => readDescriptor(raw, documentPlace(file, 'STORE_INVALID')))
  const name = descriptor?.annotations?.[refNameAnnotation]
  const reference = name === undefined ? undefined : unlessInvalid(() => parseReference(name))
  return { descriptor, reference, raw }
}

/** One foreign entry must not make the whole store unreadable. */
function unlessInvalid<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof KauriError) return undefined
    throw error
  }
}

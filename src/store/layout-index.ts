// index.json of the store: which images there are and what they are called. Other programs may write it at any moment,
// some of them in place and without a lock, so a torn file is read again for a while.

import { readFileSync, statSync } from 'node:fs'
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
import { parseReference, type Reference } from '../oci/reference.ts'
import type { LayoutPaths } from './layout-paths.ts'

/** One line of the index. */
export interface LayoutEntry {
  /** undefined for what kauri cannot read, such as a sha512 digest; kept all the same. */
  readonly descriptor: Descriptor | undefined
  /** undefined for an image without a name, or with one outside the grammar. */
  readonly reference: Reference | undefined
  /** The JSON object as it was read. */
  readonly raw: Readonly<Record<string, unknown>>
}

/** The whole file. */
export interface LayoutIndex {
  readonly members: Readonly<Record<string, unknown>>
  readonly entries: readonly LayoutEntry[]
  /** Tells one state of the file from another; `absent` where there is no file. */
  readonly stamp: string
}

/** Every entry, in the file's order. @throws STORE_INVALID where the file stays unreadable */
export async function readLayoutEntries(paths: LayoutPaths): Promise<readonly LayoutEntry[]> {
  return (await readLayoutIndex(paths)).entries
}

/** What tells one state of the file from another. */
export function stampOf(file: string): string {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? 'absent' : `${found.ino}-${found.size}-${found.mtimeNs}`
}

const tornRetries = 12

/** Reads the file. @throws STORE_INVALID where it stays unreadable */
export async function readLayoutIndex(paths: LayoutPaths): Promise<LayoutIndex> {
  for (let attempt = 0; ; attempt++) {
    const stamp = stampOf(paths.index)
    try {
      return { ...parseLayoutIndex(readIfThere(paths.index), paths.index), stamp }
    } catch (error) {
      // Some tools truncate the file and write it anew, so half of it may be seen; all of it within a few milliseconds.
      if (!(error instanceof KauriError) || attempt >= tornRetries) throw error
      await new Promise(resolve => setTimeout(resolve, 2 ** Math.min(attempt, 7)))
    }
  }
}

/** Synchronous: `node:fs/promises` costs every start of a container 1.5 ms. */
function readIfThere(file: string): Uint8Array | undefined {
  try {
    return readFileSync(file)
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

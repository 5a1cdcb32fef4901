// index.json of the store: which images there are and what they are called. Other programs may write it at any moment,
// some of them in place and without a lock, so a torn file is read again for a while.

import { existsSync, readFileSync, statSync } from 'node:fs'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { type Descriptor, readDescriptor, refNameAnnotation } from '../oci/descriptor.ts'
import {
  documentPlace,
  foreignIndexLimits,
  layoutIndexLimits,
  objectReader,
  parseJsonText,
  type ReadJson,
  readMembers,
  wrongShape,
} from '../oci/json-shape.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import type { LayoutPaths } from './layout-paths.ts'

/** One line of the index; its descriptor and its name are read when somebody asks for them. */
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

/** The name that an entry carries, whether it is one or not; undefined where it carries none. */
export function writtenName({ raw: { annotations } }: LayoutEntry): string | undefined {
  if (typeof annotations !== 'object' || annotations === null) return undefined
  const name: unknown = Reflect.get(annotations, refNameAnnotation)
  return typeof name === 'string' ? name : undefined
}

/**
 * The entries that may have this name; those whose name cannot be a form of it are left out unread, since a command asks
 * for one of ten thousand. Whatever a short form leaves out, it has the last part of the path, and each tag but `latest`.
 */
export function mayBeNamed(
  entries: readonly LayoutEntry[],
  { repository, tag = 'latest' }: Reference,
): readonly LayoutEntry[] {
  const last = repository.slice(repository.lastIndexOf('/') + 1)
  const written = tag === 'latest' ? last : tag
  return entries.filter(entry => {
    const name = writtenName(entry)
    return name !== undefined && name.includes(last) && name.includes(written)
  })
}

/** For those who remove what the index does not name: no entry may say two things. @throws STORE_INVALID */
export function requireUnambiguous(paths: LayoutPaths): void {
  const bytes = readIfThere(paths.index)
  const place = documentPlace(paths.index, 'STORE_INVALID')
  if (bytes !== undefined) parseJsonText(bytes, place, foreignIndexLimits)
}

/**
 * For those who write the index, or remove what it does not name: where it is gone and blobs are there, nobody knows what
 * they are. @throws STORE_INVALID
 */
export function requireIndex(paths: LayoutPaths): void {
  if (existsSync(paths.index) || namesIn(paths.blobs).length === 0) return
  throw new KauriError('STORE_INVALID', `${paths.index} is missing, but there are blobs`, {
    hint: 'put it back, or let kauri fsck --rebuild list the images that it finds',
  })
}

interface IndexState {
  readonly stamp: string
  /** No later change can have left the stamp as it is: the file was older than the clock's resolution when it was read. */
  readonly isSettled: boolean
}

/** What tells one state of the file from another. */
export function stampOf(file: string): string {
  return stateOf(file).stamp
}

/** The kernel's clock for files ticks every 4 ms, or 10. */
const clockTickMs = 20

function stateOf(file: string): IndexState {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false })
  if (found === undefined) return { stamp: 'absent', isSettled: false }
  const { ino, size, mtimeNs, ctimeNs, ctimeMs } = found
  const isSettled = Number(ctimeMs) + clockTickMs < Date.now()
  return { stamp: `${ino}-${size}-${mtimeNs}-${ctimeNs}`, isSettled }
}

const tornRetries = 12

/** What was read last: most commands look a name up and then write another one. */
const known = new WeakMap<LayoutPaths, LayoutIndex>()

/** Reads the file. @throws STORE_INVALID where it stays unreadable */
export async function readLayoutIndex(paths: LayoutPaths): Promise<LayoutIndex> {
  for (let attempt = 0; ; attempt++) {
    const { stamp, isSettled } = stateOf(paths.index)
    const last = known.get(paths)
    if (last?.stamp === stamp) return last
    try {
      const index = { ...parseLayoutIndex(readIfThere(paths.index), paths.index), stamp }
      // A file that was changed between the two calls has another stamp, and is read again by the next caller.
      if (isSettled) known.set(paths, index)
      return index
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
  const entries = objectReader(members, place).optional('manifests', readList) ?? []
  const entryPlace = { ...place, path: 'manifests' }
  return { members, entries: entries.map(raw => new ReadEntry(readMembers(raw, entryPlace), file)) }
}

const readList: ReadJson<readonly unknown[]> = (value, place) => {
  if (!Array.isArray(value)) throw wrongShape(place, 'a list', value)
  return value
}

/** A class, since closures for each of ten thousand entries keep the garbage collector busy. */
class ReadEntry implements LayoutEntry {
  readonly raw: LayoutEntry['raw']
  readonly #file: string
  #descriptor: { readonly value: Descriptor | undefined } | undefined
  #reference: { readonly value: Reference | undefined } | undefined

  constructor(raw: LayoutEntry['raw'], file: string) {
    this.raw = raw
    this.#file = file
  }

  get descriptor(): Descriptor | undefined {
    this.#descriptor ??= {
      value: unlessInvalid(() =>
        readDescriptor(this.raw, documentPlace(this.#file, 'STORE_INVALID')),
      ),
    }
    return this.#descriptor.value
  }

  get reference(): Reference | undefined {
    this.#reference ??= { value: this.#readReference() }
    return this.#reference.value
  }

  #readReference(): Reference | undefined {
    const name = this.descriptor === undefined ? undefined : writtenName(this)
    return name === undefined ? undefined : unlessInvalid(() => parseReference(name))
  }
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

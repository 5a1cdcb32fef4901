// Which blobs something needs, for garbage collection. What kauri understands is followed as what it is; of a document
// that is damaged, or of a kind that only its maker knows, everything is kept whose digest stands in it.

import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hexOf } from '../oci/digest.ts'
import { isIndexType, isManifestType } from '../oci/manifest.ts'
import { childrenOf } from './children.ts'
import type { LayoutEntry } from './layout-index.ts'
import type { LayoutPaths } from './layout-paths.ts'
import type { BlobSource } from './store.ts'

/** A store whose blobs are marked. */
export interface Marking {
  readonly store: BlobSource
  readonly paths: LayoutPaths
  /** Hex of what is needed; grows. */
  readonly marked: Set<string>
  readonly signal: AbortSignal | undefined
}

/** Adds what the roots reach. @throws the signal's reason */
export async function markBlobs(marking: Marking, roots: readonly Descriptor[]): Promise<void> {
  const { marked, signal } = marking
  const waiting = [...roots]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    signal?.throwIfAborted()
    if (marked.has(hexOf(next.digest))) continue
    const children = await readableChildren(marking, next)
    // What an index lists is looked into, what a manifest lists are layers: large, and leaves.
    if (isIndexType(next.mediaType)) waiting.push(...children)
    else for (const child of children) marked.add(hexOf(child.digest))
  }
}

/** Marks the blob, and what it mentions where it is no document that kauri can read; returns its children where it is. */
async function readableChildren(
  marking: Marking,
  descriptor: Descriptor,
): Promise<readonly Descriptor[]> {
  const hex = hexOf(descriptor.digest)
  if (!isDocument(descriptor)) return markMentioned(marking, [hex])
  marking.marked.add(hex)
  try {
    return (await childrenOf(marking.store, descriptor)).map(child => child.descriptor)
  } catch (error) {
    if (error instanceof KauriError) return markMentioned(marking, [hex])
    throw error
  }
}

/** Adds what entries reach that have no descriptor kauri can read, such as those with a sha512 digest. */
export function markForeignEntries(marking: Marking, entries: readonly LayoutEntry[]): void {
  for (const { descriptor, raw } of entries) {
    if (descriptor !== undefined) continue
    markMentioned(marking, hexesOf(JSON.stringify(raw)))
    const sha512 = /^sha512:([0-9a-f]{128})$/.exec(String(raw['digest']))?.[1]
    if (sha512 === undefined) continue
    markMentioned(marking, hexesIn(path.join(marking.paths.root, 'blobs/sha512', sha512)))
  }
}

/**
 * Adds those of a few candidates that the roots reach. Where thousands of images stay and one goes, it is enough to see
 * whether their manifests mention its blobs: reading them as what they are takes four times as long.
 */
export async function markCandidates(
  marking: Marking,
  roots: readonly Descriptor[],
  candidates: ReadonlySet<string>,
): Promise<void> {
  const { paths, marked, signal } = marking
  for (const root of roots) {
    signal?.throwIfAborted()
    const hex = hexOf(root.digest)
    if (!isManifestType(root.mediaType) || candidates.has(hex)) await markBlobs(marking, [root])
    else
      for (const mentioned of hexesInBlob(paths, hex))
        if (candidates.has(mentioned)) marked.add(mentioned)
  }
}

/** The digests that a stored JSON document mentions; none for other blobs. */
export function hexesInBlob({ blobs }: LayoutPaths, hex: string): readonly string[] {
  return hexesIn(path.join(blobs, hex))
}

function isDocument({ mediaType }: Descriptor): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType)
}

/** Adds all that is mentioned in documents, and in what those mention; leaves nothing to look into. */
function markMentioned({ paths, marked }: Marking, hexes: readonly string[]): readonly [] {
  const waiting = [...hexes]
  for (const hex of hexes) marked.add(hex)
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
    for (const hex of hexesInBlob(paths, next)) {
      if (marked.has(hex)) continue
      marked.add(hex)
      waiting.push(hex)
    }
  return []
}

/** No document is longer; layers are. */
const longestDocument = 64 * 1024 * 1024

/** The digests in a JSON document; none where the file is gone, or no such document. */
function hexesIn(file: string): readonly string[] {
  try {
    const { size } = statSync(file)
    if (size > longestDocument || !beginsAsObject(file)) return []
    return hexesOf(readFileSync(file, 'latin1'))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EISDIR', 'ENOTDIR')) return []
    throw error
  }
}

function hexesOf(text: string): readonly string[] {
  return text.match(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g) ?? []
}

function beginsAsObject(file: string): boolean {
  const fd = openSync(file, 'r')
  try {
    const start = Buffer.alloc(64)
    const length = readSync(fd, start)
    return start.toString('latin1', 0, length).trimStart().startsWith('{')
  } finally {
    closeSync(fd)
  }
}

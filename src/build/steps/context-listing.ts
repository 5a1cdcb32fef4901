// What a place of a context is, entry by entry, by the contents that were read for its digest: two listings tell what an
// edit changed without a look at any file, and without trust in times.

import { closeSync } from 'node:fs'
import { cancelled } from '../../core/process.ts'
import { createPause } from '../../layer/time-slice.ts'
import type { ReadableSource } from '../source-digest.ts'
import type { SourceEntry } from '../source-entry.ts'
import { matchPath } from '../source-patterns.ts'
import { withSource } from '../source-selection.ts'
import { joinPath } from '../source-tree.ts'
import { type WalkedDirectory, walkSource } from '../source-walk.ts'
import { readDirectoryXattrs } from '../source-xattrs.ts'
import type { CopiedPlace } from './context-copy.ts'
import type { StepContext } from './step.ts'

/** Entries by their path below the place, '' for the place itself; parents before what is in them. */
export type ContextListing = ReadonlyMap<string, string>

/** A listing, and what is needed to bring a copy up to it. */
export interface ListedPlace {
  readonly entries: ContextListing
  /** The place in the context, without links. */
  readonly path: string
  /** Of directories, seconds and nanoseconds since 1970. */
  readonly times: ReadonlyMap<string, readonly [seconds: number, nanoseconds: number]>
}

/** Beyond this a listing is none, so that memory does not grow with the context. */
const mostEntries = 50_000

/** An entry whose content is not known: it is equal to nothing. */
export const unknownEntry = ''

/** Undefined for what is no directory or too large, and where files with several names, devices or attributes make it more than a list. */
export async function listPlace(
  context: StepContext,
  { from, path }: Pick<CopiedPlace, 'from' | 'path'>,
): Promise<ListedPlace | undefined> {
  return await withSource(context, from, async source => {
    const match = matchPath(source.tree, path)
    if (source.tree.find(match.path)?.type !== 'directory') return undefined
    const entries = new Map<string, string>()
    const times = new Map<string, readonly [number, number]>()
    const pause = createPause()
    for (const directory of walkSource(source.tree, match.path, { directory: 'itself' })) {
      if (source.signal?.aborted) throw cancelled(source.signal)
      if (!listDirectory(source, directory, entries)) return undefined
      const { mtimeSeconds, mtimeNanoseconds } = directory.entry
      times.set(directory.relative, [mtimeSeconds, mtimeNanoseconds])
      await pause()
    }
    return { entries, path: match.path, times }
  })
}

/** False where an entry cannot be listed. */
function listDirectory(
  source: ReadableSource,
  directory: WalkedDirectory,
  entries: Map<string, string>,
): boolean {
  const { entry, relative, files } = directory
  if (entries.size > mostEntries || hasXattrs(source, directory)) return false
  entries.set(relative, `d${entry.mode.toString(8)}`)
  for (const file of files) {
    const text = describe(source, file)
    if (text === undefined) return false
    entries.set(joinPath(relative, file.name), text)
  }
  return true
}

function hasXattrs({ tree }: ReadableSource, { path }: WalkedDirectory): boolean {
  const fd = tree.open(path)
  try {
    return readDirectoryXattrs(fd).length > 0
  } finally {
    closeSync(fd)
  }
}

function describe({ contents }: ReadableSource, entry: SourceEntry): string | undefined {
  const { type, mode, links } = entry
  if (type === 'link') {
    const target = contents.find(entry)
    return target === undefined ? unknownEntry : describeLink(target.digest)
  }
  if (type !== 'file' || links > 1) return undefined
  const content = contents.find(entry)
  if (content === undefined) return unknownEntry
  return content.hasXattrs ? undefined : `f${mode.toString(8)} ${encoded(content.digest)}`
}

/** A link with a target of this digest. */
export function describeLink(digest: string): string {
  return `l ${encoded(digest)}`
}

/** A digest has a character for each byte. */
function encoded(digest: string): string {
  return Buffer.from(digest, 'latin1').toString('base64')
}

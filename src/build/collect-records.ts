// Removes what builds noted about results that are gone: records are small, but each changed step leaves some.

import { type Dirent, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { sweepTemporaries } from '../core/atomic-file.ts'
import { namesIn } from '../core/directory-names.ts'
import { hasErrno } from '../core/errors.ts'
import { tryLockFile } from '../native/file-lock.ts'
import { hexOf, isDigest, parseDigest } from '../oci/digest.ts'

export interface CollectRecordsOptions {
  /** True for blobs that are in the store; 64 hexadecimal digits. */
  readonly isStored: (hex: string) => boolean
  /** True for snapshots that are there. */
  readonly isKept: (snapshot: string) => boolean
  /** Digests of what was read from contexts and other stages go where nobody used them since; milliseconds since 1970. */
  readonly usedBeforeMs: number
  /** Records younger than this stay: their build may be at work. */
  readonly graceMs: number
  readonly dryRun?: boolean
}

/** Removes the records below `<dataRoot>/cache` and tells how many. */
export function collectBuildRecords(dataRoot: string, options: CollectRecordsOptions): number {
  const { isStored, isKept, usedBeforeMs, graceMs } = options
  const youngMs = Date.now() - graceMs
  const isOld = (usedMs: number): boolean => usedMs < usedBeforeMs
  const rules: Readonly<Record<string, (text: string, usedMs: number) => boolean>> = {
    // Named by the step's key; says which snapshot took the place of the first one.
    steps: text => !isKept(text.trim()),
    layers: text => !isBlobThere(text, isStored),
    'step-layers': text => !isBlobThere(text, isStored),
    'stage-contents': (_, usedMs) => isOld(usedMs),
    contexts: (_, usedMs) => isOld(usedMs),
  }
  let removed = 0
  for (const [kind, isUseless] of Object.entries(rules)) {
    const directory = path.join(dataRoot, 'cache', kind)
    for (const name of namesIn(directory)) {
      const file = path.join(directory, name)
      const found = readRecord(file)
      if (found === undefined || found.usedMs > youngMs || !isUseless(found.text, found.usedMs))
        continue
      if (options.dryRun !== true) rmSync(file, { force: true })
      removed++
    }
  }
  if (options.dryRun === true) return removed
  sweepCaches(path.join(dataRoot, 'cache'))
  return removed + sweepStepLocks(dataRoot)
}

/** What killed writers of records left; directories of other rooms have sweeps of their own. */
function sweepCaches(cache: string): void {
  const others = new Set(['apt', 'git', 'mounts'])
  for (const entry of entriesIn(cache))
    if (entry.isDirectory() && !others.has(entry.name))
      sweepTemporaries(path.join(cache, entry.name, 'any'))
}

function entriesIn(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** A step's lock file goes with its lock, unless its process was killed and nobody built that step again. */
function sweepStepLocks(dataRoot: string): number {
  const directory = path.join(dataRoot, 'locks', 'steps')
  let removed = 0
  for (const name of namesIn(directory)) {
    const lock = tryLockFile(path.join(directory, name), 'exclusive')
    lock?.removeAndRelease()
    if (lock !== undefined) removed++
  }
  return removed
}

/** Records of layers end with the digest of the blob, or have it as a member; one that says nothing is useless. */
function isBlobThere(text: string, isStored: (hex: string) => boolean): boolean {
  const member = /"digest":"([^"]*)"/.exec(text)?.[1]
  const digest = member ?? text.trim().split(/\s/).at(-1) ?? ''
  return isDigest(digest) && isStored(hexOf(parseDigest(digest)))
}

/** Undefined for one that went meanwhile. */
function readRecord(file: string): { readonly text: string; readonly usedMs: number } | undefined {
  try {
    return { text: readFileSync(file, 'utf8'), usedMs: statSync(file).mtimeMs }
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'EISDIR')) return undefined
    throw error
  }
}

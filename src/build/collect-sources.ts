// Removes what was downloaded for ADD and for contexts and was not used for long: files over HTTP, and the repositories
// that are kept for git addresses.

import { lstatSync, readdirSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { sweepTemporaries } from '../core/atomic-file.ts'
import { namesIn } from '../core/directory-names.ts'
import { tryLockFile } from '../native/file-lock.ts'

export interface CollectSources {
  /** Those used since stay, in milliseconds since 1970. */
  readonly usedBeforeMs: number
  readonly dryRun?: boolean
}

/** Tells how many files and repositories went, and how much they took. Repositories that a build uses stay. */
export function collectSources(
  dataRoot: string,
  { usedBeforeMs, dryRun = false }: CollectSources,
): { readonly sources: number; readonly bytes: number } {
  const files = oldFiles(path.join(dataRoot, 'cache', 'http', 'files'), usedBeforeMs)
  const addresses = oldFiles(path.join(dataRoot, 'cache', 'http', 'addresses'), usedBeforeMs)
  const repositories = oldRepositories(path.join(dataRoot, 'cache', 'git'), usedBeforeMs)
  let bytes = 0
  let sources = files.length
  for (const file of files) bytes += lstatSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (!dryRun) for (const file of [...files, ...addresses]) rmSync(file, { force: true })
  for (const repository of repositories) {
    using lock = tryLockFile(
      path.join(dataRoot, 'locks', 'git', path.basename(repository)),
      'exclusive',
    )
    if (lock === undefined) continue
    sources++
    bytes += bytesBelow(repository)
    if (!dryRun) rmSync(repository, { recursive: true, force: true })
  }
  return { sources, bytes }
}

function oldFiles(directory: string, usedBeforeMs: number): string[] {
  const names = namesIn(directory)
  if (names.length > 0) sweepTemporaries(path.join(directory, 'any'))
  return names.map(name => path.join(directory, name)).filter(file => isOld(file, usedBeforeMs))
}

/** Their last use is the time of HEAD; one without it was never finished. */
function oldRepositories(directory: string, usedBeforeMs: number): string[] {
  return namesIn(directory)
    .filter(name => /^[0-9a-f]{64}$/.test(name))
    .map(name => path.join(directory, name))
    .filter(repository => {
      const head = path.join(repository, 'HEAD')
      return isOld(statSync(head, { throwIfNoEntry: false }) ? head : repository, usedBeforeMs)
    })
}

function isOld(file: string, usedBeforeMs: number): boolean {
  const found = statSync(file, { throwIfNoEntry: false })
  return found !== undefined && found.mtimeMs < usedBeforeMs
}

function bytesBelow(directory: string): number {
  let bytes = 0
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }))
    if (entry.isFile())
      bytes +=
        lstatSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  return bytes
}

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
  /** Look only at these files and repositories. */
  readonly within?: ReadonlySet<string>
  readonly dryRun?: boolean
}

/** One file that was downloaded, or one repository. */
export interface StoredSource {
  /** Path below `<dataRoot>/cache`. */
  readonly id: string
  readonly bytes: number
  /** Last use, in milliseconds since 1970. */
  readonly usedMs: number
}

/** Every file and repository. */
export function listSources(dataRoot: string): StoredSource[] {
  const cache = path.join(dataRoot, 'cache')
  const describe = (file: string): StoredSource => ({
    id: path.relative(cache, file),
    bytes: bytesBelow(file),
    usedMs: usedMsOf(file),
  })
  return [
    ...oldFiles(path.join(cache, 'http', 'files'), Infinity),
    ...oldRepositories(path.join(cache, 'git'), Infinity),
  ].map(describe)
}

/** Tells how many files and repositories went, and how much they took. Repositories that a build uses stay. */
export function collectSources(
  dataRoot: string,
  { usedBeforeMs, within, dryRun = false }: CollectSources,
): { readonly sources: number; readonly bytes: number } {
  const cache = path.join(dataRoot, 'cache')
  const isAsked = (file: string): boolean => within?.has(path.relative(cache, file)) !== false
  const files = oldFiles(path.join(cache, 'http', 'files'), usedBeforeMs).filter(isAsked)
  const addresses = oldFiles(path.join(cache, 'http', 'addresses'), usedBeforeMs)
  const repositories = oldRepositories(path.join(cache, 'git'), usedBeforeMs).filter(isAsked)
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

/** Those of them that are named by a digest: others are being made. */
function oldRepositories(directory: string, usedBeforeMs: number): string[] {
  return namesIn(directory)
    .filter(name => /^[0-9a-f]{64}$/.test(name))
    .map(name => path.join(directory, name))
    .filter(repository => isOld(repository, usedBeforeMs))
}

function isOld(file: string, usedBeforeMs: number): boolean {
  return usedMsOf(file) < usedBeforeMs
}

/** The last use of a repository is the time of HEAD, without which it was never finished; of a file its own. Infinity: gone. */
function usedMsOf(file: string): number {
  const head = statSync(path.join(file, 'HEAD'), { throwIfNoEntry: false })
  return (head ?? statSync(file, { throwIfNoEntry: false }))?.mtimeMs ?? Infinity
}

function bytesBelow(file: string): number {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found?.isDirectory() !== true) return found?.size ?? 0
  let bytes = 0
  for (const entry of readdirSync(file, { recursive: true, withFileTypes: true }))
    if (entry.isFile())
      bytes +=
        lstatSync(path.join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0
  return bytes
}

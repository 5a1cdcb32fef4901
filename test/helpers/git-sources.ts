// Git sources as tests name and look at them.

import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import {
  openRemoteSources,
  type RemoteParts,
  type RemoteSource,
} from '../../src/build/remote-source.ts'
import { ignoreEvents } from '../../src/core/events.ts'

/** What resolving takes where nobody watches. */
export const resolveOptions: { readonly emit: typeof ignoreEvents } = { emit: ignoreEvents }

/** A state directory and this machine's PATH. */
export function partsIn(dataRoot: string, more: Partial<RemoteParts> = {}): RemoteParts {
  return { dataRoot, environment: { PATH: process.env['PATH'] ?? '' }, ...more }
}

export interface GitChoice {
  readonly revision?: string
  readonly directory?: string
  readonly keepGitDirectory?: boolean
  readonly submodules?: boolean
  readonly commit?: string
  readonly fetchesCommit?: boolean
  readonly times?: 'checkout' | 'commit'
}

/** A repository with its submodules, without git's directory, unless something else is chosen. */
export function gitSource(repository: string, choice: GitChoice = {}): RemoteSource {
  return { kind: 'git', repository, keepGitDirectory: false, submodules: true, ...choice }
}

/** Files below a directory as `path mode text`, links as `path -> target`. */
function listing(directory: string, below = ''): string[] {
  return readdirSync(path.join(directory, below))
    .toSorted()
    .flatMap(name => {
      const inside = path.join(below, name)
      const stats = lstatSync(path.join(directory, inside))
      if (stats.isDirectory())
        return [`${inside}/ ${mode(stats.mode)}`, ...listing(directory, inside)]
      if (stats.isSymbolicLink()) return [`${inside} link`]
      return [`${inside} ${mode(stats.mode)} ${readFileSync(path.join(directory, inside), 'utf8')}`]
    })
}

function mode(bits: number): string {
  return (bits & 0o7777).toString(8)
}

/** Fetches and lists a source. */
export async function treeOf(
  source: RemoteSource,
  parts: RemoteParts,
): Promise<{ readonly digest: string; readonly files: readonly string[] }> {
  await using sources = openRemoteSources(parts)
  const resolved = await sources.resolve(source, resolveOptions)
  const opened = await resolved.open()
  return { digest: resolved.digest, files: listing(opened.path) }
}

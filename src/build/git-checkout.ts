// Checks a commit out: the files of the commit and of its submodules, with modes 0644 and 0755, without git's own
// directory unless the user keeps it.

import { lstatSync, lutimesSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { KauriError, redactCredentials } from '../core/errors.ts'
import type { Git, GitOptions } from './git-program.ts'
import { commitSeconds, keptRef } from './git-repository.ts'
import type { GitRevision, GitSource } from './git-source.ts'

export interface CheckOutInput {
  readonly source: GitSource
  readonly revision: GitRevision
  readonly git: Git
  /** The bare repository that has the commit. */
  readonly repository: string
  /** An empty directory; the files go into `tree` in it. */
  readonly directory: string
  readonly signal: AbortSignal | undefined
}

/** @throws DOWNLOAD_FAILED where a submodule cannot be fetched, FILE_NOT_FOUND for a subdirectory that is not there */
export async function checkOut(input: CheckOutInput): Promise<void> {
  const { source, directory, signal } = input
  const subdirectory = (source.directory ?? '').split('/').filter(part => !['', '.'].includes(part))
  const tree = path.join(directory, subdirectory.length === 0 ? 'tree' : 'whole')
  mkdirSync(tree)
  const keepsGit = source.keepGitDirectory && subdirectory.length === 0
  const options = keepsGit ? await cloneInto(input, tree) : await checkOutFiles(input, tree)
  if (source.submodules && lstatSync(path.join(tree, '.gitmodules'), { throwIfNoEntry: false }))
    await input.git.run(['submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1'], {
      ...options,
      cwd: tree,
      signal,
    })
  if (!keepsGit) removeGitFiles(tree)
  if (source.times === 'commit') setTimes(tree, await commitSeconds(input, input.repository))
  if (subdirectory.length > 0)
    renameSync(directoryBelow(tree, subdirectory, source), path.join(directory, 'tree'))
}

/** Files only: git's directory is beside the tree, with an index of this check-out's own. */
async function checkOutFiles(
  { git, repository, source, revision, directory, signal }: CheckOutInput,
  tree: string,
): Promise<GitOptions> {
  // A directory of its own, so that submodules are not cloned into the repository that is kept.
  const own = path.join(directory, 'git')
  const options = { variables: { GIT_DIR: own, GIT_WORK_TREE: tree }, cwd: tree, signal }
  await git.run(['init', '--quiet', ...objectFormat(revision)], options)
  // Not a local clone, whose short cuts could copy files of the host: the file protocol.
  await git.run(
    ['fetch', '--quiet', '--depth=1', '--no-tags', '--', `file://${repository}`, keptRef(revision)],
    { ...options, protocols: 'file' },
  )
  // Addresses of submodules may be relative to it.
  await git.run(['remote', 'add', 'origin', source.repository], options)
  await git.run(['read-tree', '-u', '--reset', revision.commit], options)
  return options
}

/** A clone as a person would have it, but without the way it came here. */
async function cloneInto(
  { git, repository, source, revision, signal }: CheckOutInput,
  tree: string,
): Promise<GitOptions> {
  const options = { variables: { GIT_DIR: path.join(tree, '.git'), GIT_WORK_TREE: tree } }
  const run = async (args: readonly string[], protocols?: 'file'): Promise<string> =>
    await git.run(args, { ...options, cwd: tree, signal, ...(protocols && { protocols }) })
  await run(['init', '--quiet', ...objectFormat(revision)])
  const isCommit = revision.ref === revision.object
  const kept = keptRef(revision)
  const refspec = isCommit ? kept : `${kept}:${revision.ref}`
  await run(
    ['fetch', '--quiet', '-u', '--depth=1', '--no-tags', '--', `file://${repository}`, refspec],
    'file',
  )
  await run(['checkout', '--quiet', 'FETCH_HEAD'])
  await run(['remote', 'add', 'origin', redactCredentials(source.repository)])
  await run(['reflog', 'expire', '--all', '--expire=now'])
  rmSync(path.join(tree, '.git', 'FETCH_HEAD'), { force: true })
  return options
}

function objectFormat({ object }: GitRevision): readonly string[] {
  return object.length === 64 ? ['--object-format=sha256'] : []
}

/** Nothing that git tracks has that name: what is called so belongs to submodules. */
function removeGitFiles(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name)
    if (entry.name === '.git') rmSync(file, { recursive: true, force: true })
    else if (entry.isDirectory()) removeGitFiles(file)
  }
}

function setTimes(directory: string, seconds: number): void {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name)
    if (entry.isDirectory()) setTimes(file, seconds)
    else lutimesSync(file, seconds, seconds)
  }
  lutimesSync(directory, seconds, seconds)
}

/** Directories all the way: a link of the repository leads nowhere. */
function directoryBelow(
  tree: string,
  parts: readonly string[],
  { directory = '', repository }: GitSource,
): string {
  let at = tree
  for (const part of parts) {
    at = path.join(at, part)
    const found = lstatSync(at, { throwIfNoEntry: false })
    if (part !== '..' && found?.isDirectory()) continue
    const what = found === undefined ? 'there is no' : 'no directory:'
    throw new KauriError(
      'FILE_NOT_FOUND',
      `${what} ${directory} in ${redactCredentials(repository)}`,
    )
  }
  return at
}

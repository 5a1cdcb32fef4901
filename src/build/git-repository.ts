// The repository that is kept for each address: bare, shallow, filled with the commits that builds asked for.

import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import path from 'node:path'
import { KauriError, redactCredentials } from '../core/errors.ts'
import { whileLocked } from '../native/file-lock.ts'
import { digestOf, hexOf } from '../oci/digest.ts'
import type { Git } from './git-program.ts'
import type { GitRevision, GitSource } from './git-source.ts'
import type { RemoteParts } from './remote-source.ts'

export interface FetchRequest {
  readonly source: GitSource
  readonly revision: GitRevision
  readonly git: Git
  readonly parts: Pick<RemoteParts, 'dataRoot' | 'offline'>
  readonly signal: AbortSignal | undefined
}

/**
 * Fetches a commit where the repository lacks it, and hands the repository's directory to `use` while nobody else changes
 * it. @throws DOWNLOAD_FAILED, OFFLINE
 */
export async function fetchCommit<T>(
  request: FetchRequest,
  use: (repository: string) => Promise<T>,
): Promise<T> {
  const { source, parts, signal } = request
  const name = hexOf(digestOf(source.repository))
  const repository = path.join(parts.dataRoot, 'cache', 'git', name)
  const lock = path.join(parts.dataRoot, 'locks', 'git', name)
  return await whileLocked(
    lock,
    async () => {
      removeLeftLocks(repository)
      if (!(await hasObject(request, repository))) {
        if (parts.offline)
          throw new KauriError('OFFLINE', `${redactCredentials(source.repository)} is not here`, {
            hint: 'build once without --offline',
          })
        await fetchAnyhow(request, repository)
      }
      const variables = { GIT_DIR: repository }
      const { object } = request.revision
      await request.git.run(['update-ref', keptRef(request.revision), object], {
        variables,
        signal,
      })
      const now = new Date()
      utimesSync(path.join(repository, 'HEAD'), now, now)
      return await use(repository)
    },
    signal,
  )
}

/** A repository that a kill or a full disk left damaged is made anew. */
async function fetchAnyhow(request: FetchRequest, repository: string): Promise<void> {
  const isNew = !existsSync(repository)
  try {
    await fetchInto(request, repository)
  } catch (error) {
    if (isNew || request.signal?.aborted) throw error
    rmSync(repository, { recursive: true, force: true })
    await fetchInto(request, repository)
  }
}

/** Only who holds kauri's lock works on the repository, so git's own locks are those of processes that were killed. */
function removeLeftLocks(repository: string): void {
  if (!existsSync(repository)) return
  for (const name of readdirSync(repository, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.lock')) rmSync(path.join(repository, name), { force: true })
}

/** Where a commit or tag is found again, whatever the server calls it today. */
export function keptRef({ object }: Pick<GitRevision, 'object'>): string {
  return `refs/kauri/${object}`
}

async function hasObject(
  { git, revision, signal }: FetchRequest,
  repository: string,
): Promise<boolean> {
  if (!existsSync(path.join(repository, 'HEAD'))) return false
  const variables = { GIT_DIR: repository }
  const args = ['cat-file', '-e', `${revision.object}^{tree}`]
  return (await git.try(args, { variables, signal })).exitCode === 0
}

/** When a commit was made, in seconds since 1970. */
export async function commitSeconds(
  { git, revision, signal }: Pick<FetchRequest, 'git' | 'revision' | 'signal'>,
  repository: string,
): Promise<number> {
  const variables = { GIT_DIR: repository }
  const args = ['show', '--no-patch', '--no-show-signature', '--format=%ct', revision.commit]
  return Number((await git.run(args, { variables, signal })).trim())
}

/** From the least that servers may offer to all: the object itself, the name that points at it, everything. */
async function fetchInto(request: FetchRequest, repository: string): Promise<void> {
  const { git, source, revision, signal } = request
  const variables = { GIT_DIR: repository }
  if (!existsSync(path.join(repository, 'HEAD'))) {
    mkdirSync(repository, { recursive: true, mode: 0o700 })
    const form = revision.object.length === 64 ? ['--object-format=sha256'] : []
    await git.run(['init', '--quiet', '--bare', ...form], { variables, signal })
  }
  const kept = keptRef(revision)
  const isCommit = revision.ref === revision.object
  const ways = [
    ['--depth=1', '--', source.repository, `+${revision.object}:${kept}`],
    ...(isCommit ? [] : [['--depth=1', '--', source.repository, `+${revision.ref}:${kept}`]]),
    // Old servers know neither depth nor single objects.
    ...(isCommit ? [] : [['--', source.repository, `+${revision.ref}:${kept}`]]),
    ['--', source.repository, '+refs/*:refs/remotes/all/*'],
  ]
  let said = ''
  for (const way of ways) {
    const args = ['fetch', '--quiet', '--no-tags', '--no-recurse-submodules', '--force', ...way]
    const { stderr } = await git.try(args, { variables, signal })
    if (await hasObject(request, repository)) return
    said = stderr
  }
  throw new KauriError(
    'DOWNLOAD_FAILED',
    redactCredentials(`${source.repository} does not give ${revision.object}\n${said}`.trim()),
  )
}

// Git repositories that ADD and build contexts take. The server is asked which commit a name stands for, and that commit
// is the name of the content; it is fetched into a repository that is kept for the address, and checked out into a
// directory of the build's own.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError, redactCredentials } from '../core/errors.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { SshSource } from './build.ts'
import { checkOut } from './git-checkout.ts'
import { type Git, openGit } from './git-program.ts'
import { commitSeconds, fetchCommit } from './git-repository.ts'
import { gitAuthorization } from './remote-credentials.ts'
import type {
  RemoteParts,
  RemoteSource,
  ResolvedSource,
  ResolveOptions,
  SourceFetcher,
} from './remote-source.ts'

export type GitSource = Extract<RemoteSource, { readonly kind: 'git' }>

/** A name on the server and what it stands for. */
export interface GitRevision {
  /** Whole name, such as `refs/heads/main`, or the commit where that was asked for. */
  readonly ref: string
  /** What the name points at: a commit, or an annotated tag. */
  readonly object: string
  /** The commit itself. */
  readonly commit: string
}

const commitForm = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

/** Fetches repositories; `scratch` is where check-outs of this build go. */
export function gitFetcher(
  parts: RemoteParts,
  scratch: () => Promise<string>,
): SourceFetcher<GitSource> {
  return {
    async resolve(source, options): Promise<ResolvedSource> {
      const git = openGit(accessOf(source, parts))
      const revision = await findRevision(source, git, parts, options)
      let opened: Promise<string> | undefined
      return {
        digest: contentName(source, revision),
        name: '',
        async open(signal) {
          opened ??= fetchAndCheckOut({ source, revision, git, parts, signal }, scratch)
          return { kind: 'directory', path: await opened }
        },
        madeSeconds: signal =>
          fetchCommit({ source, revision, git, parts, signal }, repository =>
            commitSeconds({ git, revision, signal }, repository),
          ),
      }
    },
  }
}

interface CheckOutRequest {
  readonly source: GitSource
  readonly revision: GitRevision
  readonly git: Git
  readonly parts: RemoteParts
  readonly signal: AbortSignal | undefined
}

async function fetchAndCheckOut(
  { source, revision, git, parts, signal }: CheckOutRequest,
  scratch: () => Promise<string>,
): Promise<string> {
  const directory = path.join(await scratch(), `git-${digestOf(canonicalJson(source)).slice(-16)}`)
  mkdirSync(directory)
  await fetchCommit({ source, revision, git, parts, signal }, repository =>
    checkOut({ source, revision, git, repository, directory, signal }),
  )
  return path.join(directory, 'tree')
}

/** Modes, links and bytes follow from the commit; what is taken of it is in the name. */
function contentName(source: GitSource, { ref, object, commit }: GitRevision): Digest {
  const { keepGitDirectory, submodules, directory } = source
  const kept = keepGitDirectory ? { ref, object } : {}
  return digestOf(canonicalJson({ kind: 'git', commit, submodules, directory, ...kept }))
}

/** @throws CHECKSUM_MISMATCH, DOWNLOAD_FAILED where there is no such name, OFFLINE */
async function findRevision(
  source: GitSource,
  git: Git,
  parts: RemoteParts,
  { signal }: ResolveOptions,
): Promise<GitRevision> {
  const { revision = '', commit = '' } = source
  if (commit !== '' && !/^[0-9a-f]+$/i.test(commit))
    throw mismatch(`invalid checksum ${commit} for Git URL, expected hex commit hash`)
  if (commitForm.test(revision)) {
    if (!revision.startsWith(commit))
      throw mismatch(`expected checksum to match ${commit}, got ${revision}`)
    return { ref: revision, object: revision, commit: revision }
  }
  if (source.fetchesCommit) return namedCommit(revision, commit)
  if (parts.offline)
    throw new KauriError('OFFLINE', `nobody can say what ${shown(source)} is now`, {
      hint: 'name a whole commit, or build without --offline',
    })
  return await askServer(source, git, signal)
}

/** `?fetch-by-commit`: the name is only what the commit gets. */
function namedCommit(revision: string, commit: string): GitRevision {
  if (commit === '') throw mismatch('fetch-by-commit requires a checksum or a commit SHA ref')
  if (!commitForm.test(commit))
    throw mismatch(`fetch-by-commit requires a full commit SHA checksum, got "${commit}"`)
  if (revision === '') return { ref: commit, object: commit, commit }
  const ref = revision.startsWith('refs/') ? revision : `refs/heads/${revision}`
  return { ref, object: commit, commit }
}

async function askServer(
  source: GitSource,
  git: Git,
  signal: AbortSignal | undefined,
): Promise<GitRevision> {
  const { repository, commit: wanted = '' } = source
  const name = source.revision ?? (await defaultBranch(source, git, signal))
  if (name.startsWith('-')) throw mismatch(`invalid git ref "${name}"`)
  const answer = await git.run(['ls-remote', '--', repository, name, `${name}^{}`], { signal })
  const found = revisionNamed(name, answer)
  if (found === undefined)
    throw new KauriError(
      'DOWNLOAD_FAILED',
      `repository does not contain ref ${name}: ${redactCredentials(repository)}`,
    )
  if (!found.object.startsWith(wanted) && !found.commit.startsWith(wanted))
    throw mismatch(`expected checksum to match ${wanted}, got ${found.commit}`)
  return found
}

async function defaultBranch(
  { repository }: GitSource,
  git: Git,
  signal: AbortSignal | undefined,
): Promise<string> {
  const answer = await git.run(['ls-remote', '--symref', '--', repository, 'HEAD'], { signal })
  const branch = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(answer)?.[1]
  if (branch !== undefined) return branch
  throw new KauriError(
    'DOWNLOAD_FAILED',
    `could not find default branch for repository: ${redactCredentials(repository)}`,
  )
}

/** What a name means among the lines of `ls-remote`: itself below refs/, else a branch, else a tag. */
export function revisionNamed(name: string, answer: string): GitRevision | undefined {
  const objects = new Map(
    answer.split('\n').map((line): [string, string] => {
      const [object = '', ref = ''] = line.split('\t')
      return [ref, object]
    }),
  )
  const below = (prefix: string): string => (name.startsWith(prefix) ? name : `${prefix}${name}`)
  for (const ref of [below('refs/'), below('refs/heads/'), below('refs/tags/')]) {
    const object = objects.get(ref)
    if (object === undefined || !commitForm.test(object)) continue
    const peeled = objects.get(`${ref}^{}`)
    return { ref, object, commit: peeled ?? object }
  }
  return undefined
}

function accessOf(source: GitSource, parts: RemoteParts): Parameters<typeof openGit>[0] {
  const { repository } = source
  const header = gitAuthorization(repository, parts.secrets)
  const identity = parts.ssh?.get('default')
  return {
    environment: parts.environment,
    authorization: header === undefined ? undefined : { scope: headerScope(repository), header },
    sshCommand: sshCommand(parts.dataRoot, identity),
    sshAgent: identity?.kind === 'agent' ? identity.socket : undefined,
  }
}

/** The token goes to this repository alone; GitHub's submodules share theirs, as its own actions have it. */
function headerScope(repository: string): string {
  const shared = ['https://github.com/', 'https://www.github.com/']
  return shared.find(prefix => repository.startsWith(prefix)) ?? repository
}

/** Only keys that the caller handed over, and a key of a host is remembered when it is first seen. */
function sshCommand(dataRoot: string, identity: SshSource | undefined): string {
  const directory = path.join(dataRoot, 'cache', 'git')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const knownHosts = `UserKnownHostsFile="${path.join(directory, 'known_hosts')}" ~/.ssh/known_hosts`
  const command = [
    'ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new',
    '-o ConnectTimeout=60 -o ServerAliveInterval=30',
    `-o ${quoted(knownHosts)}`,
  ]
  // Without the word none ssh takes the keys of whoever runs kauri.
  if (identity?.kind === 'agent') return [...command, '-o IdentityFile=none'].join(' ')
  const keys = identity?.paths.map(file => `-i ${quoted(path.resolve(file))}`) ?? [
    '-o IdentityFile=none',
  ]
  return [...command, '-o IdentitiesOnly=yes -o IdentityAgent=none', ...keys].join(' ')
}

/** git gives the command to a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function shown({ repository, revision }: GitSource): string {
  return `${redactCredentials(repository)}${revision === undefined ? '' : `#${revision}`}`
}

function mismatch(message: string): KauriError {
  return new KauriError('CHECKSUM_MISMATCH', message)
}

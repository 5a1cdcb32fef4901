// From the repositories of a request to what apt is told to use: one source for each suite at its mirrors.
// `obsrepositories:/` becomes the host's own repositories, turned to the distribution and components asked for.

import { KauriError } from '../core/errors.ts'
import type { PackageRepository } from '../plan/plan.ts'
import { takeCredentials } from './apt-credentials.ts'
import type { AptHost } from './apt-host.ts'
import type { AptSource, SignedBy } from './apt-sources.ts'

/** One suite that a repository of the request stands for. */
export interface RepositorySource {
  readonly repository: PackageRepository
  /** Has exactly one suite and no credentials. */
  readonly source: AptSource
  /** May be missing at its mirror, as long as another source of the repository is there. */
  readonly isOptional: boolean
}

export interface RepositorySources {
  readonly sources: readonly RepositorySource[]
  /** netrc lines for credentials that stood in the location: a secret. */
  readonly netrc: string
}

/** Suites that follow a release and come along with it. */
const followingPockets = ['-updates', '-security']
/** Names that move from release to release; a host may use them in place of its codename. */
const movingNames = ['stable', 'testing', 'unstable', 'sid', 'oldstable', 'oldoldstable', 'devel']

/** True for a location that means the host's own repositories. */
export function isHostLocation(location: string): boolean {
  return /^obsrepositories:\/*$/i.test(location)
}

/** What a repository stands for. @throws REPOSITORY_INVALID, UNSUPPORTED with the repository's position */
export function expandRepository(repository: PackageRepository, host: AptHost): RepositorySources {
  if (isHostLocation(repository.location))
    return { sources: hostSources(repository, host), netrc: '' }
  const { uri, netrcLine } = takeCredentials(aptAddress(repository), repository.where)
  const suite = repository.distribution ?? './'
  const isFlat = suite.endsWith('/')
  if (isFlat && repository.components.length > 0)
    throw new KauriError(
      'REPOSITORY_INVALID',
      `repository ${uri} names components but no distribution`,
      { hint: 'add distribution="NAME", or leave the components out', where: repository.where },
    )
  const source: AptSource = {
    uris: [uri],
    suites: [suite],
    components: isFlat ? [] : componentsOr(repository, ['main']),
    architectures: [],
    options: {},
  }
  return {
    sources: [{ repository, source: withTrust(source, repository), isOptional: false }],
    netrc: netrcLine ?? '',
  }
}

function aptAddress({ location, where }: PackageRepository): string {
  if (/^(?:(?:mirror\+|tor\+)?https?|ftp):\/\/[^/]/i.test(location)) return location
  const local = /^(?:(?:file|dir):(?:\/\/(?=\/))?)?(\/(?!\/).*)$/i.exec(location)?.[1]
  if (local !== undefined) return `file:${encodeURI(decodeURI(local))}`
  throw new KauriError('UNSUPPORTED', `apt cannot use the repository location ${location}`, {
    hint: 'use http://, https://, ftp://, file:/, dir:/, an absolute path or obsrepositories:/',
    where,
  })
}

function hostSources(repository: PackageRepository, host: AptHost): RepositorySource[] {
  const base = hostSuite(host)
  const found = host.sources.flatMap(source =>
    source.suites.flatMap(suite => {
      const turned = turnSuite(suite, base, repository.distribution)
      const components = turnComponents(source, repository)
      if (turned === undefined || components === undefined) return []
      // Keys of the request come on top of the host's, which without Signed-By are its trusted ones.
      const signedBy =
        source.signedBy ?? (repository.keys.length === 0 ? undefined : trusted(host.trustedKeys))
      return [{ ...source, suites: [turned], components, signedBy }]
    }),
  )
  if (found.length === 0)
    throw new KauriError(
      'REPOSITORY_INVALID',
      `none of the host's repositories can serve ${repository.distribution ?? 'this build'}`,
      {
        hint: "see /etc/apt/sources.list.d on this machine, or give the repository's own address",
        where: repository.where,
      },
    )
  return found.map(source => ({
    repository,
    source: withTrust(source, repository),
    isOptional: repository.distribution !== undefined,
  }))
}

function trusted(files: readonly string[]): SignedBy | undefined {
  return files.length === 0 ? undefined : { kind: 'references', values: files }
}

/** The suite that the host itself stands on, among those it has repositories of. */
function hostSuite(host: AptHost): string | undefined {
  const suites = new Set(host.sources.flatMap(source => source.suites))
  return [...host.codenames, ...movingNames].find(name => suites.has(name))
}

/** The suite in the place of a host's one; undefined where it does not belong to the distribution asked for. */
function turnSuite(
  suite: string,
  base: string | undefined,
  wanted: string | undefined,
): string | undefined {
  if (wanted === undefined || suite === wanted) return suite
  if (suite === base) return wanted
  // A pocket such as trixie-backports has no pockets of its own.
  if (wanted.includes('-')) return undefined
  const pocket = followingPockets.find(
    name => suite === `${base}${name}` || suite === wanted + name,
  )
  return pocket === undefined ? undefined : wanted + pocket
}

/** Other people's repositories may have a suite of the same name: they take part with the components they are known to have. */
function turnComponents(
  source: AptSource,
  repository: PackageRepository,
): readonly string[] | undefined {
  if (source.suites.some(suite => suite.endsWith('/'))) return source.components
  if (repository.components.length === 0) return source.components
  if (source.components.includes('main')) return repository.components
  const common = source.components.filter(name => repository.components.includes(name))
  return common.length === 0 ? undefined : common
}

function componentsOr(
  repository: PackageRepository,
  fallback: readonly string[],
): readonly string[] {
  return repository.components.length === 0 ? fallback : repository.components
}

function withTrust(source: AptSource, repository: PackageRepository): AptSource {
  if (repository.checkSignatures) return source
  return { ...source, options: { ...source.options, Trusted: 'yes' } }
}

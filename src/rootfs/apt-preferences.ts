// Priorities and ignored packages in apt's own terms (apt_preferences(5)): pins.

import { KauriError } from '../core/errors.ts'
import type { AptListSet, KeyedSource } from './apt-list-set.ts'
import type { AptWorkspace } from './apt-workspace.ts'

/** What a release file says a suite is; pins match against it. */
interface SuiteIdentity {
  readonly uri: string
  readonly suite: string
  readonly terms: string
}

/**
 * Text of a preferences file: what is ignored has no candidate, and repositories with a priority are known by what
 * their release files say.
 * @throws REPOSITORY_INVALID where two repositories that cannot be told apart have different priorities
 */
export async function formatPreferences(
  set: AptListSet,
  workspace: AptWorkspace,
  ignored: readonly string[],
): Promise<string> {
  const never = ignored.map(name => pin(name, 'release *', -1))
  const hasPriorities = set.sources.some(({ repository }) => repository.priority !== undefined)
  if (!hasPriorities) return never.join('\n')
  const identities = await readIdentities(set, workspace)
  const priorities = new Map<string, KeyedSource>()
  for (const entry of set.sources) {
    const { repository, source } = entry
    const own = identities.find(
      ({ uri, suite }) =>
        source.uris.some(known => sameUri(known, uri)) && source.suites[0] === suite,
    )
    const terms = own?.terms ?? `origin "${hostOf(source.uris[0] ?? '')}"`
    const known = priorities.get(terms)
    if (known !== undefined && known.repository.priority !== repository.priority)
      throw new KauriError(
        'REPOSITORY_INVALID',
        `repositories ${known.source.uris[0]} and ${source.uris[0]} have different priorities, but both call themselves ${terms}`,
        { hint: 'give both the same priority', where: repository.where },
      )
    priorities.set(terms, entry)
  }
  const pins = [...priorities].flatMap(([terms, { repository }]) =>
    repository.priority === undefined ? [] : [pin('*', terms, repository.priority)],
  )
  return [...never, ...pins].join('\n')
}

function pin(packages: string, terms: string, priority: number): string {
  return `Package: ${packages}\nPin: ${terms}\nPin-Priority: ${priority}\n`
}

async function readIdentities(set: AptListSet, workspace: AptWorkspace): Promise<SuiteIdentity[]> {
  const format = '$(REPO_URI)\t$(RELEASE)\t$(ORIGIN)\t$(LABEL)\t$(CODENAME)\t$(SUITE)'
  const { stdout } = await workspace.run(
    'apt-get',
    ['indextargets', '--format', format, 'Created-By: Packages'],
    { settings: set.settings },
  )
  return stdout.split('\n').flatMap(line => {
    const [uri = '', suite = '', ...values] = line.split('\t')
    const terms = ['o', 'l', 'n', 'a'].flatMap((key, index) => {
      const value = values[index] ?? ''
      return value === '' || value.startsWith('$(') ? [] : [`${key}=${value}`]
    })
    return terms.length === 0 ? [] : [{ uri, suite, terms: `release ${terms.join(',')}` }]
  })
}

function sameUri(one: string, other: string): boolean {
  return one.replace(/\/+$/, '') === other.replace(/\/+$/, '')
}

function hostOf(uri: string): string {
  return /^[a-z0-9+.-]+:\/\/([^/:]+)/i.exec(uri)?.[1] ?? ''
}

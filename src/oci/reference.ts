// Image names by the grammar of the distribution project (reference.md), with Docker's short forms:
// `debian` is docker.io/library/debian:latest.

import { KauriError } from '../core/errors.ts'
import { type Digest, parseDigest } from './digest.ts'

/** A full name; tag or digest or both. Build it with parseReference only. */
export interface Reference {
  /** Host and port of the registry, `docker.io` where none was written. */
  readonly registry: string
  /** Path below the registry, with `library/` where Docker's short form leaves it out. */
  readonly repository: string
  readonly tag?: string
  readonly digest?: Digest
}

const pathComponent = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const repositoryForm = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`)
const domainComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const registryForm = new RegExp(
  `^(?:${domainComponent}(?:\\.${domainComponent})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?$`,
)
const tagForm = /^\w[\w.-]{0,127}$/

/**
 * Reads a name as people write it; the tag is `latest` where neither tag nor digest is written.
 * @throws REFERENCE_INVALID with the lower-case name as the hint where only the case is wrong
 */
export function parseReference(text: string): Reference {
  const invalid = (hint: string): KauriError =>
    new KauriError('REFERENCE_INVALID', `"${text.slice(0, 300)}" is not an image name`, { hint })
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : parseDigest(text.slice(at + 1))
  const named = at < 0 ? text : text.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const tag = colon < 0 ? undefined : named.slice(colon + 1)
  const name = colon < 0 ? named : named.slice(0, colon)
  if (tag !== undefined && !tagForm.test(tag))
    throw invalid(
      'a tag has 1 to 128 letters, digits, "_", "." and "-" and starts with none of the last two',
    )
  const { registry, repository } = splitRegistry(name)
  if (!registryForm.test(registry)) throw invalid(`"${registry}" is not the name of a registry`)
  if (!repositoryForm.test(repository))
    throw invalid(
      repositoryForm.test(repository.toLowerCase())
        ? `names are lower case: write ${text.replace(name, name.toLowerCase())}`
        : 'write NAME[:TAG] with lower-case letters, digits and the separators ".", "_", "-" and "/"',
    )
  if (repository.length > 255) throw invalid('a name has at most 255 characters')
  return {
    registry,
    repository,
    ...(digest === undefined ? {} : { digest }),
    ...(tag === undefined ? (digest === undefined ? { tag: 'latest' } : {}) : { tag }),
  }
}

function splitRegistry(name: string): { registry: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const isRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  const registry = isRegistry ? first : 'docker.io'
  const repository = isRegistry ? name.slice(slash + 1) : name
  if (registry === 'index.docker.io') return splitRegistry(`docker.io/${repository}`)
  if (registry === 'docker.io' && !repository.includes('/'))
    return { registry, repository: `library/${repository}` }
  return { registry, repository }
}

/** The full form, such as `docker.io/library/debian:12`; it is what the store's index holds. */
export function formatReference(reference: Reference): string {
  const { registry, repository, tag, digest } = reference
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** The name without tag and digest in the form people write: `debian`, `example.org/team/app`. */
export function familiarName({ registry, repository }: Reference): string {
  if (registry !== 'docker.io') return `${registry}/${repository}`
  return repository.startsWith('library/') ? repository.slice('library/'.length) : repository
}

/** The form people write: `debian:12`. */
export function formatFamiliar(reference: Reference): string {
  const { tag, digest } = reference
  return `${familiarName(reference)}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

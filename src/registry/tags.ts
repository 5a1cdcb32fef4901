// What a registry has: the tags of a repository (distribution-spec v1.1, end-8), and its repositories, which the specification
// leaves to `_catalog` of older registries.

import { KauriError } from '../core/errors.ts'
import {
  documentPlace,
  listOf,
  objectReader,
  parseJsonText,
  type ReadJson,
  readText,
  wrongShape,
} from '../oci/json-shape.ts'
import { type Endpoint, repositoryPath } from './endpoints.ts'
import { readPages } from './read-pages.ts'
import type { Signalled } from './registry.ts'
import { catalogScopes, pullScopes } from './scopes.ts'
import type { Session, SessionDocument } from './session.ts'

/** Tags become parts of paths and names. */
const readTag: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (/^\w[\w.-]{0,127}$/.test(text)) return text
  throw wrongShape(place, 'a tag', value)
}

const readRepository: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (text.length < 256 && /^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/.test(text)) return text
  throw wrongShape(place, 'the name of a repository', value)
}

const itemsOnPage = 1000

/** undefined where the registry does not know the repository. */
export async function listTags(
  session: Session,
  endpoint: Endpoint,
  options: Signalled,
): Promise<string[] | undefined> {
  const what = `the list of tags of ${endpoint.host}/${endpoint.repository}`
  const target = `${repositoryPath(endpoint)}/tags/list?n=${itemsOnPage}`
  const list = { what, target, scopes: pullScopes(endpoint) }
  const pages = await readPages(session, endpoint, list, options)
  return pages?.flatMap(page => itemsOf(page, what, 'tags', readTag))
}

/** Every repository of the registry that may be seen. @throws UNSUPPORTED where it lists none */
export async function listRepositories(
  session: Session,
  endpoint: Endpoint,
  options: Signalled,
): Promise<string[]> {
  const what = `the list of repositories of ${endpoint.host}`
  const list = {
    what,
    target: `${endpoint.apiRoot}/_catalog?n=${itemsOnPage}`,
    scopes: catalogScopes,
  }
  const pages = await readPages(session, endpoint, list, options)
  if (pages === undefined)
    throw new KauriError('UNSUPPORTED', `${endpoint.host} lists no repositories`)
  return pages.flatMap(page => itemsOf(page, what, 'repositories', readRepository))
}

function itemsOf(
  { bytes }: SessionDocument,
  what: string,
  member: 'tags' | 'repositories',
  read: ReadJson<string>,
): readonly string[] {
  const place = documentPlace(what, 'REGISTRY_FAILED')
  const members = objectReader(parseJsonText(bytes, place), place)
  // Registries say null for a list that is empty.
  return members.optional(member, listOf(read)) ?? []
}

// The tags of a repository, page by page (distribution-spec v1.1, end-8a and end-8b).

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
import type { Endpoint } from './endpoints.ts'
import { nextPage } from './link-header.ts'
import type { Signalled } from './registry.ts'
import { pullScopes } from './scopes.ts'
import { requireStatus, type Session } from './session.ts'

/** Tags become parts of paths and names. */
const readTag: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (/^\w[\w.-]{0,127}$/.test(text)) return text
  throw wrongShape(place, 'a tag', value)
}

const tagsOnPage = 1000
const maxPages = 1000
const maxPageBytes = 4 * 1024 * 1024

/** undefined where the registry does not know the repository. */
export async function listTags(
  session: Session,
  endpoint: Endpoint,
  { signal }: Signalled,
): Promise<string[] | undefined> {
  const what = `the list of tags of ${endpoint.host}/${endpoint.repository}`
  const place = documentPlace(what, 'REGISTRY_FAILED')
  const tags: string[] = []
  let target: string | URL = `/v2/${endpoint.repository}/tags/list?n=${tagsOnPage}`
  for (let page = 0; page < maxPages; page++) {
    const answer = await session.read(
      { endpoint, method: 'GET', target, scopes: pullScopes(endpoint), signal },
      { what, maxBytes: maxPageBytes },
    )
    if (answer.status === 404 && page === 0) return undefined
    await requireStatus(answer, 'GET', 200)
    const members = objectReader(parseJsonText(answer.bytes, place), place)
    tags.push(...(members.optional('tags', listOf(readTag)) ?? []))
    const next = nextPage(answer)
    if (next === undefined) return tags
    target = next
  }
  throw new KauriError('REGISTRY_FAILED', `${what} has more than ${maxPages} pages`)
}

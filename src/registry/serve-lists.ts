// Lists of the server, page by page (distribution-spec v1.1 "Listing Tags"): tags of a repository, and its repositories.

import { formatReference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { Refusal } from './serve-error.ts'
import { tagsOf } from './serve-manifests.ts'
import type { RepositoryName } from './serve-route.ts'

/** What is sent: a document, and headers that say where the next page is. */
export interface ListPage {
  readonly document: object
  readonly headers: Readonly<Record<string, string>>
}

/** @throws Refusal 404 where nobody knows the repository, 400 where `n` is no number */
export async function tagPage(
  store: DiskStore,
  { name, path }: { readonly name: RepositoryName; readonly path: string },
  query: URLSearchParams,
): Promise<ListPage> {
  const tags = await tagsOf(store, name)
  if (tags === undefined) throw new Refusal(404, 'NAME_UNKNOWN', `there is no repository ${path}`)
  const { items, headers } = pageOf(tags, query, `/v2/${path}/tags/list`)
  return { document: { name: path, tags: items }, headers }
}

/** Images of docker.io under their short names, others below the name of their registry. @throws Refusal 400 */
export async function catalogPage(store: DiskStore, query: URLSearchParams): Promise<ListPage> {
  const images = await store.listImages()
  const names = images.map(({ reference: { registry, repository } }) =>
    registry === 'docker.io'
      ? repository.replace(/^library\//, '')
      : formatReference({ registry, repository }),
  )
  const { items, headers } = pageOf([...new Set(names)].toSorted(), query, '/v2/_catalog')
  return { document: { repositories: items }, headers }
}

const largestPage = 1000

interface Page {
  readonly items: readonly string[]
  readonly headers: Readonly<Record<string, string>>
}

/** Part of a sorted list, and where the next one is. */
function pageOf(all: readonly string[], query: URLSearchParams, address: string): Page {
  const asked = query.get('n')
  const last = query.get('last')
  if (asked !== null && !/^\d{1,9}$/.test(asked))
    throw new Refusal(400, 'SIZE_INVALID', 'n is no number')
  const size = Math.min(asked === null ? largestPage : Number(asked), largestPage)
  const after = last === null ? all : all.filter(item => item > last)
  const items = after.slice(0, size)
  const final = items.at(-1)
  if (items.length === after.length || final === undefined) return { items, headers: {} }
  const next = `${address}?n=${size}&last=${encodeURIComponent(final)}`
  return { items, headers: { Link: `<${next}>; rel="next"` } }
}

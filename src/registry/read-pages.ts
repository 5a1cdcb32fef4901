// Lists that come page by page (distribution-spec v1.1, end-8): each page says by a Link header where the next one is. A
// registry may lie, so that they lead nowhere twice, and are bounded in number and length.

import { KauriError } from '../core/errors.ts'
import type { Endpoint } from './endpoints.ts'
import { nextPage } from './link-header.ts'
import type { Signalled } from './registry.ts'
import { requireStatus, type Session, type SessionDocument } from './session.ts'

export interface PagedList {
  /** Names the list in errors. */
  readonly what: string
  /** Path and query of the first page. */
  readonly target: string
  readonly scopes: readonly string[]
  readonly accept?: string
}

const maxPages = 1000
const maxPageBytes = 4 * 1024 * 1024
const maxListBytes = 64 * 1024 * 1024

/**
 * The pages in their order; undefined where the registry knows no such list.
 * @throws REGISTRY_FAILED where there are too many, or where they go in a circle
 */
export async function readPages(
  session: Session,
  endpoint: Endpoint,
  { what, target, scopes, accept }: PagedList,
  { signal }: Signalled,
): Promise<SessionDocument[] | undefined> {
  const pages: SessionDocument[] = []
  const seen = new Set<string>()
  let bytes = 0
  let next: string | URL | undefined = target
  while (next !== undefined) {
    const answer: SessionDocument = await session.read(
      {
        endpoint,
        method: 'GET',
        target: next,
        ...(accept === undefined ? {} : { headers: { accept } }),
        scopes,
        signal,
      },
      { what, maxBytes: maxPageBytes },
    )
    if (answer.status === 404 && pages.length === 0) return undefined
    await requireStatus(answer, 'GET', 200)
    pages.push(answer)
    seen.add(answer.url.href)
    bytes += answer.bytes.byteLength
    next = nextPage(answer)
    if (next !== undefined && seen.has(next.href))
      throw new KauriError(
        'REGISTRY_FAILED',
        `${what} goes in a circle: it leads to ${next.pathname} again`,
      )
    if (next !== undefined && (pages.length >= maxPages || bytes > maxListBytes))
      throw new KauriError(
        'REGISTRY_FAILED',
        `${what} has more than ${maxPages} pages, or ${maxListBytes} bytes`,
      )
  }
  return pages
}

// Link headers (RFC 8288) with rel="next", which lead from one page of a list to the next one.

import { KauriError } from '../core/errors.ts'
import type { SessionDocument } from './session.ts'

const linkForm = /^\s*<([^<>]{1,4096})>\s*;.*\brel="?next"?/i

/** The address of the next page, at the same registry. @throws REGISTRY_FAILED where it leads elsewhere or nowhere new */
export function nextPage(answer: SessionDocument): URL | undefined {
  const target = linkForm.exec(answer.header('link') ?? '')?.[1]
  if (target === undefined) return undefined
  const url = URL.parse(target, answer.url)
  if (url === null || url.origin !== answer.url.origin)
    throw new KauriError(
      'REGISTRY_FAILED',
      `${answer.url.host} says that its list goes on elsewhere`,
    )
  if (url.href === answer.url.href)
    throw new KauriError(
      'REGISTRY_FAILED',
      `${answer.url.host} says that its list goes on at its beginning`,
    )
  return url
}

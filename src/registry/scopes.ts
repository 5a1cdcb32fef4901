// What tokens must allow (distribution's token scope documentation), for each kind of work one scope: a token for pushing
// is fetched once and used from the first question on.

import type { Endpoint } from './endpoints.ts'

type Named = Pick<Endpoint, 'repository'>

export function pullScopes({ repository }: Named): readonly string[] {
  return [`repository:${repository}:pull`]
}

/** To mount from another repository its blobs must be readable, too. */
export function pushScopes({ repository }: Named, mountFrom?: string): readonly string[] {
  const push = `repository:${repository}:pull,push`
  return mountFrom === undefined ? [push] : [push, `repository:${mountFrom}:pull`]
}

export function deleteScopes({ repository }: Named): readonly string[] {
  return [`repository:${repository}:delete,pull,push`]
}

/** Distribution's own name for its list of repositories. */
export const catalogScopes: readonly string[] = ['registry:catalog:*']

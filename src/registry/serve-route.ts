// Which of the specification's end points a request is for (distribution-spec v1.1 "Endpoints").

import { KauriError } from '../core/errors.ts'
import { parseReference, type Reference } from '../oci/reference.ts'
import { Refusal } from './serve-error.ts'

/** Where the images of a repository are kept in the store: the first part of a path may name another registry. */
export type RepositoryName = Pick<Reference, 'registry' | 'repository'>

export type Route =
  | { readonly kind: 'version' }
  | { readonly kind: 'catalog' }
  | ({
      readonly kind: 'manifest' | 'blob' | 'upload' | 'referrers'
      /** As the client wrote it; what addresses in answers are made of. */
      readonly path: string
      readonly name: RepositoryName
      /** A tag, a digest, or the id of an upload. */
      readonly target: string
    } & object)
  | { readonly kind: 'uploads' | 'tags'; readonly path: string; readonly name: RepositoryName }

const routeForm =
  /^\/v2\/(.+?)\/(?:(manifests|referrers)\/([^/]+)|(blobs\/uploads)(?:\/([^/]*))?|blobs\/([^/]+)|tags\/list)$/

/** @throws Refusal 404 for every other path, NAME_INVALID for names outside the grammar */
export function routeOf(pathname: string): Route {
  if (pathname === '/v2/' || pathname === '/v2') return { kind: 'version' }
  if (pathname === '/v2/_catalog') return { kind: 'catalog' }
  const match = routeForm.exec(decoded(pathname))
  if (match === null) throw new Refusal(404, 'NAME_UNKNOWN', 'there is nothing at this address')
  const [, path = '', document, target = '', uploads, upload = '', blob] = match
  const name = repositoryName(path)
  if (document === 'manifests') return { kind: 'manifest', path, name, target }
  if (document === 'referrers') return { kind: 'referrers', path, name, target }
  if (blob !== undefined) return { kind: 'blob', path, name, target: blob }
  if (uploads === undefined) return { kind: 'tags', path, name }
  return upload === ''
    ? { kind: 'uploads', path, name }
    : { kind: 'upload', path, name, target: upload }
}

function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname)
  } catch {
    throw new Refusal(400, 'NAME_INVALID', 'the address is not encoded as it must be')
  }
}

function repositoryName(path: string): RepositoryName {
  try {
    const { registry, repository, tag } = parseReference(`${path}:tag`)
    if (tag !== 'tag' || path.includes('@')) throw new Refusal(400, 'NAME_INVALID', 'no such name')
    return { registry, repository }
  } catch (error) {
    if (!(error instanceof KauriError)) throw error
    throw new Refusal(400, 'NAME_INVALID', error.message)
  }
}

// Manifests of a repository (distribution-spec v1.1, end-3, end-7, end-9): documents of at most 4 MiB, known by their digest
// whatever the tag or the headers say.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf, isDigest, parseDigest } from '../oci/digest.ts'
import {
  documentLimits,
  documentPlace,
  objectReader,
  parseJsonText,
  readText,
} from '../oci/json-shape.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { type Endpoint, repositoryPath } from './endpoints.ts'
import type { AskOptions, FetchedManifest, Signalled } from './registry.ts'
import { deleteScopes, pullScopes, pushScopes } from './scopes.ts'
import { requireStatus, type Session, type SessionAnswer, type SessionDocument } from './session.ts'
import { dropBody } from './transport.ts'

/** Schema 1 is named so that registries say they have it, and people are told, instead of a conversion. */
const accept: string = [
  mediaTypes.index,
  mediaTypes.manifest,
  mediaTypes.dockerIndex,
  mediaTypes.dockerManifest,
  'application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1',
].join(', ')

/** undefined where the registry has none of that name. */
export async function findManifest(
  session: Session,
  endpoint: Endpoint,
  target: string,
  { signal }: Signalled,
): Promise<FetchedManifest | undefined> {
  const what = `the manifest ${target} of ${endpoint.host}/${endpoint.repository}`
  const answer = await session.read(
    {
      endpoint,
      method: 'GET',
      target: manifestPath(endpoint, target),
      headers: { accept },
      scopes: pullScopes(endpoint),
      signal,
    },
    { what, maxBytes: documentLimits.maxBytes },
  )
  if (answer.status === 404) return undefined
  await requireStatus(answer, 'GET', 200)
  requireNoPage(answer, what)
  const { bytes } = answer
  const digest = digestOf(bytes)
  requireNamed(target, answer, digest, what)
  const mediaType = typeOf(answer, bytes, what)
  const descriptor = { mediaType, digest, size: bytes.byteLength }
  return { bytes, descriptor, etag: answer.header('etag') }
}

/** By HEAD, which Docker Hub does not count against limits; by GET where a registry leaves out what is asked. */
export async function resolveManifest(
  session: Session,
  endpoint: Endpoint,
  target: string,
  { signal, forPush = false }: AskOptions,
): Promise<Descriptor | undefined> {
  const answer = await session.send({
    endpoint,
    method: 'HEAD',
    target: manifestPath(endpoint, target),
    headers: { accept },
    scopes: forPush ? pushScopes(endpoint) : pullScopes(endpoint),
    signal,
  })
  await dropBody(answer)
  if (answer.status === 404) return undefined
  const digest = answer.header('docker-content-digest') ?? (isDigest(target) ? target : '')
  const size = Number(answer.header('content-length') ?? Number.NaN)
  const mediaType = contentType(answer)
  const isComplete =
    answer.status === 200 && isDigest(digest) && Number.isSafeInteger(size) && isKnown(mediaType)
  // Errors of HEAD have no body, so GET also tells what is wrong.
  if (!isComplete) return (await findManifest(session, endpoint, target, { signal }))?.descriptor
  if (isDigest(target) && digest !== target)
    throw otherDigest(`the manifest ${target} of ${endpoint.host}`, digest)
  return { mediaType, digest: parseDigest(digest), size }
}

interface PutDocument {
  readonly bytes: Uint8Array
  readonly mediaType: string
  readonly target: string
  /** The ETag that the document to be replaced must still have. */
  readonly ifMatch?: string | undefined
}

/** Also tells whether the registry keeps the list of referrers itself. */
export async function putManifest(
  session: Session,
  endpoint: Endpoint,
  document: PutDocument,
  options: Signalled,
): Promise<{ readonly descriptor: Descriptor; readonly knowsSubject: boolean }> {
  const { bytes, mediaType } = document
  const answer = await sendDocument(session, endpoint, document, options)
  await requireStatus(answer, 'PUT', 201, 200, 202)
  await dropBody(answer)
  const digest = digestOf(bytes)
  const told = answer.header('docker-content-digest')
  if (told !== undefined && told !== digest)
    throw otherDigest(`the manifest ${digest} at ${endpoint.host}`, told)
  return {
    descriptor: { mediaType, digest, size: bytes.byteLength },
    knowsSubject: answer.header('oci-subject') !== undefined,
  }
}

/** False where somebody else has changed the document meanwhile, and the registry noticed. */
export async function replaceManifest(
  session: Session,
  endpoint: Endpoint,
  document: PutDocument,
  options: Signalled,
): Promise<boolean> {
  const answer = await sendDocument(session, endpoint, document, options)
  if (answer.status !== 412) await requireStatus(answer, 'PUT', 201, 200, 202)
  await dropBody(answer)
  return answer.status !== 412
}

async function sendDocument(
  session: Session,
  endpoint: Endpoint,
  { bytes, mediaType, target, ifMatch }: PutDocument,
  { signal }: Signalled,
): Promise<SessionAnswer> {
  return await session.send({
    endpoint,
    method: 'PUT',
    target: manifestPath(endpoint, target),
    headers: {
      'content-type': mediaType,
      'content-length': String(bytes.byteLength),
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
    },
    body: bytes,
    scopes: pushScopes(endpoint),
    signal,
  })
}

/** False where it was not there. */
export async function deleteManifest(
  session: Session,
  endpoint: Endpoint,
  target: string,
  { signal }: Signalled,
): Promise<boolean> {
  const answer = await session.send({
    endpoint,
    method: 'DELETE',
    target: manifestPath(endpoint, target),
    scopes: deleteScopes(endpoint),
    signal,
  })
  if (answer.status === 404) {
    await dropBody(answer)
    return false
  }
  if (answer.status === 405)
    throw new KauriError('UNSUPPORTED', `${endpoint.host} deletes nothing`, {
      hint: 'deletion is switched on in the registry itself',
    })
  await requireStatus(answer, 'DELETE', 202, 200, 204)
  await dropBody(answer)
  return true
}

function manifestPath(endpoint: Endpoint, target: string): string {
  return `${repositoryPath(endpoint)}/manifests/${target}`
}

type Headed = Pick<SessionDocument, 'header'>

/** A captive portal or a web page answers everything with 200. */
function requireNoPage(answer: SessionDocument, what: string): void {
  if (!/^text\/html/i.test(contentType(answer))) return
  throw new KauriError(
    'REGISTRY_FAILED',
    `${what} is a web page: ${answer.url.host} is no registry`,
    {
      hint: 'check the name, and whether the network wants a login of its own',
    },
  )
}

function requireNamed(target: string, answer: Headed, digest: string, what: string): void {
  const told = answer.header('docker-content-digest')
  // Registries may know it by another algorithm.
  const isToldOther = told?.startsWith('sha256:') === true && told !== digest
  if (isDigest(target) && target !== digest) throw otherDigest(what, digest)
  if (isToldOther) throw otherDigest(`${what}, by its header ${told},`, digest)
}

function otherDigest(what: string, digest: string): KauriError {
  return new KauriError('CHECKSUM_MISMATCH', `${what} has the digest ${digest.slice(0, 100)}`, {
    hint: 'the registry is damaged, or somebody is in between',
  })
}

function contentType(answer: Headed): string {
  return (answer.header('content-type') ?? '').replace(/;.*$/s, '').trim()
}

function isKnown(mediaType: string): boolean {
  return [
    mediaTypes.index,
    mediaTypes.manifest,
    mediaTypes.dockerIndex,
    mediaTypes.dockerManifest,
  ].some(known => known === mediaType)
}

/** The document's own word counts; a header that contradicts it makes it two things at once (CVE-2021-41190). */
function typeOf(answer: Headed, bytes: Uint8Array, what: string): string {
  const place = documentPlace(what, 'REGISTRY_FAILED')
  const members = objectReader(parseJsonText(bytes, place), place)
  const own = members.optional('mediaType', readText)
  const told = contentType(answer)
  if (/\.manifest\.v1\+(?:json|prettyjws)$/.test(told) && told.includes('docker'))
    throw new KauriError('UNSUPPORTED', `${what} has schema version 1`, {
      hint: 'push the image again with a current tool; schema 1 is retired',
    })
  if (own !== undefined && isKnown(told) && own !== told)
    throw new KauriError('REGISTRY_FAILED', `${what} is ${own}, but was sent as ${told}`)
  const mediaType = own ?? (isKnown(told) ? told : guessType(members.optional('manifests', v => v)))
  if (isKnown(mediaType)) return mediaType
  throw new KauriError(
    'UNSUPPORTED',
    `${what} is of type ${mediaType.slice(0, 100)}, which is no image`,
  )
}

/** OCI documents need not say what they are. */
function guessType(manifests: unknown): string {
  return manifests === undefined ? mediaTypes.manifest : mediaTypes.index
}

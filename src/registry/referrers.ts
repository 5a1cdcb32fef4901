// What refers to a manifest (distribution-spec v1.1, end-12): signatures, bills of materials. Registries without that list
// keep it as an index under a tag, which whoever pushes changes.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hexOf, parseDigest } from '../oci/digest.ts'
import {
  definedMembers,
  documentPlace,
  mapOf,
  type ObjectReader,
  objectReader,
  parseJsonText,
  type ReadJson,
  readText,
} from '../oci/json-shape.ts'
import { isIndexType, parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import { type Endpoint, repositoryPath } from './endpoints.ts'
import { findManifest, replaceManifest } from './manifests.ts'
import { readPages } from './read-pages.ts'
import type { Signalled } from './registry.ts'
import { pullScopes } from './scopes.ts'
import type { Session } from './session.ts'

export interface ReferrerOptions extends Signalled {
  readonly artifactType?: string | undefined
}

/** Empty where nothing refers to it. */
export async function listReferrers(
  session: Session,
  endpoint: Endpoint,
  digest: Digest,
  options: ReferrerOptions,
): Promise<Descriptor[]> {
  const { artifactType } = options
  const found =
    (await askForReferrers(session, endpoint, digest, options)) ??
    (await readFallback(session, endpoint, digest, options)).manifests
  // Whether the registry filtered by itself or not.
  return found.filter(item => artifactType === undefined || item.artifactType === artifactType)
}

/** undefined where the registry knows no such list. */
async function askForReferrers(
  session: Session,
  endpoint: Endpoint,
  digest: Digest,
  { artifactType, signal }: ReferrerOptions,
): Promise<Descriptor[] | undefined> {
  const query =
    artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType }).toString()}`
  const what = `the referrers of ${digest} at ${endpoint.host}`
  const list = {
    what,
    target: `${repositoryPath(endpoint)}/referrers/${digest}${query}`,
    scopes: pullScopes(endpoint),
    accept: mediaTypes.index,
  }
  const pages = await readPages(session, endpoint, list, { signal })
  return pages?.flatMap(({ bytes }) => parseIndex(bytes, what).manifests)
}

/** The tag of distribution-spec v1.1 "Referrers Tag Schema". */
export function fallbackTag(digest: Digest): string {
  return `sha256-${hexOf(digest)}`
}

interface Fallback {
  readonly manifests: readonly Descriptor[]
  readonly etag: string | undefined
}

async function readFallback(
  session: Session,
  endpoint: Endpoint,
  digest: Digest,
  { signal }: Signalled,
): Promise<Fallback> {
  const found = await findManifest(session, endpoint, fallbackTag(digest), { signal })
  if (found === undefined || !isIndexType(found.descriptor.mediaType))
    return { manifests: [], etag: undefined }
  const { manifests } = parseIndex(found.bytes, `the index ${fallbackTag(digest)}`)
  return { manifests, etag: found.etag }
}

/** Adds a manifest to the list of its subject where the registry does not do so; idempotent. */
export async function addReferrer(
  session: Session,
  endpoint: Endpoint,
  { subject, referrer }: { readonly subject: Digest; readonly referrer: Descriptor },
  options: Signalled,
): Promise<void> {
  const change: Change = before =>
    before.some(({ digest }) => digest === referrer.digest) ? undefined : [...before, referrer]
  await changeFallback(session, { endpoint, subject, change }, options)
}

/** Takes a manifest that is gone out of that list; registries with a list of their own have none. */
export async function removeReferrer(
  session: Session,
  endpoint: Endpoint,
  { subject, referrer }: { readonly subject: Digest; readonly referrer: Digest },
  options: Signalled,
): Promise<void> {
  const change: Change = before => {
    const after = before.filter(({ digest }) => digest !== referrer)
    return after.length === before.length ? undefined : after
  }
  await changeFallback(session, { endpoint, subject, change }, options)
}

/** undefined where nothing is to be changed. */
type Change = (before: readonly Descriptor[]) => readonly Descriptor[] | undefined

interface FallbackChange {
  readonly endpoint: Endpoint
  readonly subject: Digest
  readonly change: Change
}

const mostAttempts = 5

/**
 * Reads the list, changes it and writes it. Others may do the same at once: registries that know conditions refuse what is
 * based on an older list, and with all others what was written is read again.
 */
async function changeFallback(
  session: Session,
  { endpoint, subject, change }: FallbackChange,
  options: Signalled,
): Promise<void> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const { manifests: before, etag } = await readFallback(session, endpoint, subject, options)
    const manifests = change(before)
    if (manifests === undefined) return
    const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests }
    const bytes = Buffer.from(canonicalJson(index))
    const target = fallbackTag(subject)
    const document = { bytes, mediaType: mediaTypes.index, target, ifMatch: etag }
    await replaceManifest(session, endpoint, document, options)
  }
  const { manifests } = await readFallback(session, endpoint, subject, options)
  if (change(manifests) === undefined) return
  throw new KauriError(
    'REGISTRY_FAILED',
    `others change the list ${fallbackTag(subject)} of ${endpoint.host}/${endpoint.repository} again and again`,
    { hint: 'try again' },
  )
}

/** What a manifest or an index of that content is about. @throws ARCHIVE_INVALID where it is none */
export function subjectOf(bytes: Uint8Array): Digest | undefined {
  return readAbout(bytes).optional('subject', readSubject)
}

/** The entry that a manifest gets in the list of its subject: what it is, and its own annotations. */
export function referrerOf(descriptor: Descriptor, bytes: Uint8Array): Descriptor {
  const members = readAbout(bytes)
  const annotations = members.optional('annotations', mapOf(readText))
  // Of an image without a type of its own its configuration's stands for it; an index without one has none.
  const artifactType =
    members.optional('artifactType', readText) ?? members.optional('config', readMediaType)
  return definedMembers({ ...descriptor, artifactType, annotations })
}

function readAbout(bytes: Uint8Array): ObjectReader {
  const place = documentPlace('the manifest', 'ARCHIVE_INVALID')
  return objectReader(parseJsonText(bytes, place), place)
}

const readSubject: ReadJson<Digest> = (value, place) =>
  parseDigest(objectReader(value, place).required('digest', readText))

const readMediaType: ReadJson<string | undefined> = (value, place) =>
  objectReader(value, place).optional('mediaType', readText)

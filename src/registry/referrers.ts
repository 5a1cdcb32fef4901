// What refers to a manifest (distribution-spec v1.1, end-12): signatures, bills of materials. Registries without that list
// keep it as an index under a tag, which whoever pushes changes.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { type Descriptor } from '../oci/descriptor.ts'
import { type Digest, hexOf } from '../oci/digest.ts'
import { documentLimits } from '../oci/json-shape.ts'
import { isIndexType, type Manifest, parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { Endpoint } from './endpoints.ts'
import { nextPage } from './link-header.ts'
import { findManifest, putManifest } from './manifests.ts'
import type { Signalled } from './registry.ts'
import { pullScopes } from './scopes.ts'
import { requireStatus, type Session } from './session.ts'

export interface ReferrerOptions extends Signalled {
  readonly artifactType?: string | undefined
}

const maxPages = 100

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
    (await readFallback(session, endpoint, digest, options))
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
  const found: Descriptor[] = []
  let target: string | URL = `/v2/${endpoint.repository}/referrers/${digest}${query}`
  for (let page = 0; page < maxPages; page++) {
    const answer = await session.read(
      {
        endpoint,
        method: 'GET',
        target,
        headers: { accept: mediaTypes.index },
        scopes: pullScopes(endpoint),
        signal,
      },
      { what, maxBytes: documentLimits.maxBytes },
    )
    if (answer.status === 404 && page === 0) return undefined
    await requireStatus(answer, 'GET', 200)
    found.push(...parseIndex(answer.bytes, what).manifests)
    const next = nextPage(answer)
    if (next === undefined) return found
    target = next
  }
  throw new KauriError('REGISTRY_FAILED', `${what} have more than ${maxPages} pages`)
}

/** The tag of distribution-spec v1.1 "Referrers Tag Schema". */
export function fallbackTag(digest: Digest): string {
  return `sha256-${hexOf(digest)}`
}

async function readFallback(
  session: Session,
  endpoint: Endpoint,
  digest: Digest,
  { signal }: Signalled,
): Promise<readonly Descriptor[]> {
  const found = await findManifest(session, endpoint, fallbackTag(digest), { signal })
  if (found === undefined || !isIndexType(found.descriptor.mediaType)) return []
  return parseIndex(found.bytes, `the index ${fallbackTag(digest)}`).manifests
}

/** Adds a manifest to the list of its subject where the registry does not do so; idempotent. */
export async function addReferrer(
  session: Session,
  endpoint: Endpoint,
  { subject, referrer }: { readonly subject: Digest; readonly referrer: Descriptor },
  options: Signalled,
): Promise<void> {
  const before = await readFallback(session, endpoint, subject, options)
  if (before.some(item => item.digest === referrer.digest)) return
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [...before, referrer],
  }
  const bytes = Buffer.from(canonicalJson(index))
  const manifest = { bytes, mediaType: mediaTypes.index, target: fallbackTag(subject) }
  await putManifest(session, endpoint, manifest, options)
}

/** The entry that a manifest gets in the list of its subject: what it is, and its own annotations. */
export function referrerOf(descriptor: Descriptor, manifest: Manifest): Descriptor {
  const { annotations, artifactType = manifest.config.mediaType } = manifest
  return {
    ...descriptor,
    artifactType,
    ...(annotations === undefined ? {} : { annotations }),
  }
}

// One repository of a registry: each question goes to its mirrors first and to the registry last, each change to the
// registry alone.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../oci/digest.ts'
import { downloadBlob, hasBlob, hashed } from './download-blob.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { deleteManifest, findManifest, putManifest, resolveManifest } from './manifests.ts'
import { addReferrer, listReferrers, referrerOf, removeReferrer, subjectOf } from './referrers.ts'
import type { RegistryRepository, RepositoryName, Signalled } from './registry.ts'
import { pullScopes, pushScopes } from './scopes.ts'
import type { Session } from './session.ts'
import { listTags } from './tags.ts'
import { type UploadWays, uploadBlob } from './upload-blob.ts'

export interface RepositoryParts {
  readonly name: RepositoryName
  readonly session: Session
  readonly endpoints: Endpoints
  readonly ways: UploadWays
  /** Hears of mirrors that failed; the next one is asked. */
  readonly onMirrorFailed: (host: string, error: KauriError) => void
}

/** Asks nobody yet. */
export function openRepository(parts: RepositoryParts): RegistryRepository {
  const { name, session, endpoints, ways } = parts
  const { primary } = endpoints
  const mirrors = mirrorWalk(parts)
  const openLent = async (
    descriptor: Descriptor,
    options: Signalled = {},
  ): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly host: string }> => {
    const found = await mirrors.first(descriptor.digest, async endpoint => {
      const bytes = await downloadBlob(session, endpoint, descriptor, options)
      return bytes === undefined ? undefined : { bytes, host: endpoint.host }
    })
    if (found !== undefined) return found
    throw new KauriError(
      'BLOB_NOT_FOUND',
      `${name.registry}/${name.repository} has no blob ${descriptor.digest}`,
    )
  }
  return {
    name,
    findManifest: (target, options = {}) =>
      mirrors.first(target, endpoint => findManifest(session, endpoint, target, options)),
    resolve: (target, options = {}) =>
      options.forPush === true
        ? resolveManifest(session, primary, target, options)
        : mirrors.first(target, endpoint => resolveManifest(session, endpoint, target, options)),
    async putManifest({ bytes, mediaType }, wanted, options = {}) {
      const target = wanted ?? digestOf(bytes)
      const manifest = { bytes, mediaType, target }
      const { descriptor, knowsSubject } = await putManifest(session, primary, manifest, options)
      if (!knowsSubject) await keepReferrer(parts, descriptor, bytes, options)
      return descriptor
    },
    async deleteManifest(target, options = {}) {
      const about = isDigest(target) ? await subjectAt(parts, target, options) : undefined
      const wasThere = await deleteManifest(session, primary, target, options)
      if (wasThere && about !== undefined) await removeReferrer(session, primary, about, options)
      return wasThere
    },
    hasBlob: (digest, options = {}) => {
      const scopes = options.forPush === true ? pushScopes(primary) : pullScopes(primary)
      return hasBlob(session, primary, { digest, scopes }, options)
    },
    async openBlob(descriptor, options) {
      const { bytes, host } = await openLent(descriptor, options)
      return hashed(bytes, descriptor, host)
    },
    openLent: async (descriptor, options) => (await openLent(descriptor, options)).bytes,
    async putBlob(open, blob, options = {}) {
      const question = { digest: blob.digest, scopes: pushScopes(primary) }
      if (options.isMissing !== true && (await hasBlob(session, primary, question, options))) return
      await uploadBlob({ session, endpoint: primary, blob, ways, ...options }, open)
    },
    listTags: (options = {}) => listTags(session, primary, options),
    listReferrers: (digest, options = {}) => listReferrers(session, primary, digest, options),
  }
}

/** Registries that know nothing of subjects leave the list of referrers to who pushes. */
async function keepReferrer(
  { session, endpoints }: RepositoryParts,
  descriptor: Descriptor,
  bytes: Uint8Array,
  options: Signalled,
): Promise<void> {
  const subject = subjectOf(bytes)
  if (subject === undefined) return
  const entry = { subject, referrer: referrerOf(descriptor, bytes) }
  await addReferrer(session, endpoints.primary, entry, options)
}

/** What a manifest that is to be deleted is about; undefined: nothing, or it is not there. */
async function subjectAt(
  { session, endpoints }: RepositoryParts,
  target: string,
  options: Signalled,
): Promise<{ readonly subject: Digest; readonly referrer: Digest } | undefined> {
  const found = await findManifest(session, endpoints.primary, target, options)
  const subject = found === undefined ? undefined : subjectOf(found.bytes)
  if (found === undefined || subject === undefined) return undefined
  return { subject, referrer: found.descriptor.digest }
}

interface MirrorWalk {
  /** The first answer that is not undefined; the last endpoint's error is thrown, those of mirrors are told. */
  first<T>(
    target: string,
    ask: (endpoint: Endpoint) => Promise<T | undefined>,
  ): Promise<T | undefined>
}

function mirrorWalk({ endpoints, onMirrorFailed }: RepositoryParts): MirrorWalk {
  const failed = new Set<Endpoint>()
  return {
    async first(target, ask) {
      const kind = isDigest(target) ? 'digest-only' : 'tag-only'
      for (const endpoint of endpoints.forPulls) {
        if (endpoint === endpoints.primary) continue
        const mayAsk = endpoint.pulls === 'all' || endpoint.pulls === kind
        if (!mayAsk || failed.has(endpoint)) continue
        try {
          const found = await ask(endpoint)
          if (found !== undefined) return found
        } catch (error) {
          if (!(error instanceof KauriError) || error.code === 'CANCELLED') throw error
          failed.add(endpoint)
          onMirrorFailed(endpoint.host, error)
        }
      }
      return await ask(endpoints.primary)
    },
  }
}

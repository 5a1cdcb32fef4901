// Registries by the OCI distribution specification v1.1: what the rest of kauri asks of them. A repository is where the
// manifests and blobs of one name are; nothing here knows of disks. Contracts that hold for every function: what is
// returned was checked against its digest, what is asked again gives the same, a signal ends it, and every wait, retry,
// redirect and answer is bounded. Codes: REGISTRY_FAILED (not reached, or a nonsensical answer), REGISTRY_DENIED (401 and
// 403), CHECKSUM_MISMATCH (other bytes than were asked for), CANCELLED.

import type { Readable } from 'node:stream'
import type { Emit } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'

/** Every registry of one command: its connections, tokens and settings. Disposing closes the connections; idempotent. */
export interface Registries extends AsyncDisposable {
  /** A name as typed: short names may have aliases in registries.conf. @throws REFERENCE_INVALID */
  parseName(text: string): Reference
  /** Asks nobody yet. @throws REGISTRY_DENIED where the configuration blocks the name */
  repository(name: RepositoryName): RegistryRepository
  /** Every repository that the registry shows. @throws UNSUPPORTED where it shows none, REGISTRY_DENIED, REGISTRY_FAILED */
  listRepositories(host: string, options?: Signalled): Promise<string[]>
  /** Asks whether the registry takes these credentials, without keeping them. @throws REGISTRY_DENIED, REGISTRY_FAILED */
  checkCredentials(host: string, credentials: Credentials, options?: Signalled): Promise<void>
}

/** Where an image lies: tag and digest come with each call. */
export type RepositoryName = Pick<Reference, 'registry' | 'repository'>

/** What a user or a helper says to a registry. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, from a helper or from an earlier login. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A bearer token that is used as it is. */
  | { readonly kind: 'registry-token'; readonly token: string }

export interface Signalled {
  readonly signal?: AbortSignal | undefined
}

export interface AskOptions extends Signalled {
  /** The answer decides what is pushed: the registry itself is asked, no mirror, with the rights of a push. */
  readonly forPush?: boolean | undefined
}

/** A document as it came, with its verified name. */
export interface FetchedManifest {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
  /** The registry's own name for this version of what was asked for. */
  readonly etag?: string | undefined
}

export interface UploadOptions extends Signalled {
  /** The caller has asked already: nobody has to ask again. */
  readonly isMissing?: boolean | undefined
  /** Repositories of the same registry that may have the blob already. */
  readonly mountFrom?: readonly string[] | undefined
  /** Bytes handed over so far; may go back where an upload begins anew. */
  readonly onProgress?: ((doneBytes: number) => void) | undefined
}

/** One repository: pulls may come from its mirrors, everything else goes to the registry itself. */
export interface RegistryRepository {
  readonly name: RepositoryName
  /** The document of a tag or digest, at most 4 MiB; undefined where there is none. */
  findManifest(target: string, options?: Signalled): Promise<FetchedManifest | undefined>
  /** What a tag or digest stands for, without its bytes where the registry can say so. */
  resolve(target: string, options?: AskOptions): Promise<Descriptor | undefined>
  /** Idempotent; `target` undefined: by its digest alone. Keeps the list of referrers where the registry does not. */
  putManifest(
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    target: string | undefined,
    options?: Signalled,
  ): Promise<Descriptor>
  /**
   * By tag or digest; false where it was not there. Who deletes a manifest about another one also takes it out of the list of
   * referrers that the registry does not keep itself.
   */
  deleteManifest(target: string, options?: Signalled): Promise<boolean>
  hasBlob(digest: Digest, options?: AskOptions): Promise<boolean>
  /** The blob's bytes, verified at their end; the caller consumes or destroys them. @throws BLOB_NOT_FOUND */
  openBlob(descriptor: Descriptor, options?: Signalled): Promise<Readable>
  /**
   * The same bytes without hashing them, for those who do that themselves and read to the end; never more than the
   * descriptor says. A chunk is the caller's only until it asks for the next one.
   */
  openLent(descriptor: Descriptor, options?: Signalled): Promise<AsyncIterable<Uint8Array>>
  /** Uploads what is not there yet. `open` is called again for every new attempt. */
  putBlob(
    open: () => Promise<AsyncIterable<Uint8Array>>,
    blob: Pick<Descriptor, 'digest' | 'size'>,
    options?: UploadOptions,
  ): Promise<void>
  /** Every tag, as the registry orders them; undefined where it does not know the repository. */
  listTags(options?: Signalled): Promise<string[] | undefined>
  /** Manifests whose subject is the digest, from the referrers API or the fallback tag. */
  listReferrers(
    digest: Digest,
    options?: Signalled & { readonly artifactType?: string | undefined },
  ): Promise<Descriptor[]>
}

/** How registries are reached; everything has a default but the environment. */
export interface RegistryOptions {
  /** Of the caller: homes, proxies, SSL_CERT_FILE. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly userId: number
  /** false: certificates are not checked, and plain http is taken where https is not spoken. */
  readonly tlsVerify?: boolean | undefined
  /** The one file with credentials, in place of those of docker and of containers. */
  readonly authFile?: string | undefined
  /** Directory with ca.crt, client.cert and client.key for every registry. */
  readonly certDirectory?: string | undefined
  /** Used in place of any that are configured. */
  readonly credentials?: Credentials | undefined
  readonly emit?: Emit | undefined
  readonly limits?: Partial<RegistryLimits> | undefined
}

/** Waiting, in milliseconds, and how often. */
export interface RegistryLimits {
  readonly connectMs: number
  /** From a request to the first line of its answer. */
  readonly answerMs: number
  /** The same at the end of an upload, when registries move gigabytes to where they belong. */
  readonly commitMs: number
  /** Between two pieces of an answer. */
  readonly idleMs: number
  /** A document must have come by then. */
  readonly documentMs: number
  /** A blob must come faster, in bytes, over each time of `idleMs`. */
  readonly leastBytesPerSecond: number
  readonly attempts: number
  /** The first wait before a request is sent again; each further one is twice as long, with jitter. */
  readonly firstWaitMs: number
  /** The longest wait, also where Retry-After says more: then the request fails. */
  readonly longestWaitMs: number
  /** Pieces of an upload where a registry wants pieces; its own minimum wins. */
  readonly chunkBytes: number
}

export const defaultLimits: RegistryLimits = {
  connectMs: 15_000,
  answerMs: 60_000,
  commitMs: 30 * 60_000,
  idleMs: 60_000,
  documentMs: 5 * 60_000,
  leastBytesPerSecond: 64,
  attempts: 5,
  firstWaitMs: 500,
  longestWaitMs: 60_000,
  chunkBytes: 48 * 1024 * 1024,
}

// From a store to a registry: nothing but one question where the tag says already what it should.

import { KauriError } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isIndexType, parseIndex } from '../oci/manifest.ts'
import { formatPlatform } from '../oci/platform.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import { copyBlobs } from '../store/copy-image.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import type { Registries, RegistryRepository, Signalled } from './registry.ts'
import { repositoryStore } from './repository-store.ts'

export interface PushOptions extends Signalled {
  readonly registries: Registries
  readonly emit: Emit
  /** Repositories of the same registry that may have a blob already. */
  readonly mountFrom?: ((digest: Digest) => Promise<readonly string[]>) | undefined
  /** Gives the image no tag: it is known by its digest alone. */
  readonly byDigest?: boolean | undefined
}

/**
 * Pushes an image with all that it refers to, and names it at the end. Of an index with platforms that are not stored and
 * not in the registry either, the only stored image goes alone, and a warning says so.
 * @returns what the name now stands for
 * @throws REGISTRY_FAILED, REGISTRY_DENIED, BLOB_NOT_FOUND, IMAGE_NOT_FOUND, CANCELLED
 */
export async function pushImage(
  store: BlobSource,
  descriptor: Descriptor,
  reference: Reference,
  options: PushOptions,
): Promise<Descriptor> {
  const { registries, emit, signal, mountFrom, byDigest = false } = options
  const name = formatFamiliar(reference)
  const repository = registries.repository(reference)
  const { annotations: _, ...bare } = descriptor
  return await inStep(emit, { id: `push ${name}`, title: `push ${name}` }, async () => {
    const target = byDigest ? descriptor.digest : (reference.tag ?? descriptor.digest)
    if ((await repository.resolve(target, { signal, forPush: true }))?.digest === descriptor.digest)
      return bare
    const whole = await wholeImage(store, bare, { repository, name, emit, signal })
    const remote = repositoryStore(repository, { signal, mountFrom, forPush: true })
    await copyBlobs(store, remote, whole, { signal, emit, parent: `push ${name}` })
    if (!byDigest) await remote.tagImage(withoutDigest(reference), whole)
    return whole
  })
}

function withoutDigest({ digest, ...name }: Reference): Reference {
  return name.tag === undefined && digest !== undefined ? { ...name, digest } : name
}

interface Target extends Signalled {
  readonly repository: RegistryRepository
  readonly name: string
  readonly emit: Emit
}

/** Registries refuse an index whose images they have not got. */
async function wholeImage(
  store: BlobSource,
  descriptor: Descriptor,
  target: Target,
): Promise<Descriptor> {
  if (!isIndexType(descriptor.mediaType)) return descriptor
  const { name, emit } = target
  const bytes = await readBlob(store, descriptor)
  const { manifests } = parseIndex(bytes, `index ${descriptor.digest}`)
  const { stored, missing } = await splitIndex(store, manifests, target)
  if (missing.length === 0) return descriptor
  const [only] = stored.filter(({ platform }) => platform?.os !== 'unknown')
  if (only === undefined || stored.length > 1)
    throw new KauriError(
      'BLOB_NOT_FOUND',
      `of ${name} ${missing.length} of ${manifests.length} images are not stored: ${missing.map(platformName).join(', ')}`,
      { hint: `get them with kauri pull --all-platforms ${name}` },
    )
  emit({
    kind: 'warning',
    message: `${name} is pushed for ${platformName(only)} alone, as ${only.digest}`,
    hint: `kauri pull --all-platforms ${name} gets the others`,
  })
  return only
}

async function splitIndex(
  store: BlobSource,
  manifests: readonly Descriptor[],
  { repository, signal }: Target,
): Promise<{ stored: readonly Descriptor[]; missing: readonly Descriptor[] }> {
  const stored: Descriptor[] = []
  const missing: Descriptor[] = []
  for (const item of manifests) {
    if (await store.hasBlob(item.digest, item.mediaType)) stored.push(item)
    else if ((await repository.resolve(item.digest, { signal, forPush: true })) === undefined)
      missing.push(item)
  }
  return { stored, missing }
}

function platformName({ platform, digest }: Descriptor): string {
  return platform === undefined ? digest : formatPlatform(platform)
}

// Where a registry may have a blob already: under the other names of that registry that images of the store with the
// blob have. Registries then take it from there, and nothing is sent.

import { KauriError } from '../core/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { planCopy } from '../store/plan-copy.ts'

/** More tries cost more than they save. */
const mostCandidates = 3

/** Looks through the store when the first blob is to be sent, and not before. */
export function mountCandidates(
  store: DiskStore,
  target: Reference,
): (digest: Digest) => Promise<readonly string[]> {
  let repositories: Promise<ReadonlyMap<Digest, readonly string[]>> | undefined
  return async digest => {
    repositories ??= repositoriesByBlob(store, target)
    return (await repositories).get(digest)?.slice(0, mostCandidates) ?? []
  }
}

async function repositoriesByBlob(
  store: DiskStore,
  target: Reference,
): Promise<ReadonlyMap<Digest, readonly string[]>> {
  const found = new Map<Digest, string[]>()
  for (const { reference, descriptor } of await store.listImages()) {
    const { registry, repository } = reference
    if (registry !== target.registry || repository === target.repository) continue
    for (const digest of await blobsOf(store, descriptor)) {
      const known = found.get(digest) ?? []
      if (!known.includes(repository)) found.set(digest, [...known, repository])
    }
  }
  return found
}

/** None for a damaged image: it must not stop the push of another one. */
async function blobsOf(
  store: DiskStore,
  descriptor: Parameters<typeof planCopy>[1],
): Promise<readonly Digest[]> {
  try {
    const { blobs, configs } = await planCopy(store, descriptor, {})
    return [...blobs, ...configs].map(({ digest }) => digest)
  } catch (error) {
    if (error instanceof KauriError) return []
    throw error
  }
}

// Every image that a store has for some platform, also those within indexes.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'

/** Manifests of the images, and of the indexes among them, each once; what is damaged is passed over. */
export async function manifestsOf(
  store: BlobSource,
  images: readonly Descriptor[],
): Promise<Descriptor[]> {
  const found = new Map<string, Descriptor>()
  const seen = new Set<string>()
  const waiting = [...images]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const descriptor = next
    if (seen.has(descriptor.digest)) continue
    seen.add(descriptor.digest)
    if (isManifestType(descriptor.mediaType)) found.set(descriptor.digest, descriptor)
    if (!isIndexType(descriptor.mediaType)) continue
    const index = await unlessBroken(async () =>
      parseIndex(await readBlob(store, descriptor), `index ${descriptor.digest}`),
    )
    waiting.push(...(index?.manifests ?? []))
  }
  return [...found.values()]
}

/** What the work gives, or undefined where something is damaged or missing. */
export async function unlessBroken<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KauriError) return undefined
    throw error
  }
}

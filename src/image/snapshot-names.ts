// Which snapshots images stand on: those of their chain IDs.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { chainIdsOf, hexOf } from '../oci/digest.ts'
import { isIndexType, isManifestType, parseIndex } from '../oci/manifest.ts'
import type { BlobSource } from '../store/store.ts'
import { readBlob } from '../store/verified-stream.ts'
import { openImage } from './open-image.ts'

/** Hex of the chain IDs of every layer stack, of every platform that is stored; damaged images have none. */
export async function imageSnapshotNames(
  store: BlobSource,
  images: readonly Descriptor[],
): Promise<Set<string>> {
  const names = new Set<string>()
  for (const manifest of await manifestsOf(store, images)) {
    const image = await unlessBroken(() => openImage(store, manifest))
    for (const chainId of chainIdsOf(image?.config.rootfs.diff_ids ?? [])) names.add(hexOf(chainId))
  }
  return names
}

async function manifestsOf(
  store: BlobSource,
  images: readonly Descriptor[],
): Promise<Descriptor[]> {
  const found = new Map<string, Descriptor>()
  const waiting = [...images]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next.digest)) continue
    const descriptor = next
    if (isManifestType(descriptor.mediaType)) found.set(descriptor.digest, descriptor)
    if (!isIndexType(descriptor.mediaType)) continue
    const index = await unlessBroken(async () =>
      parseIndex(await readBlob(store, descriptor), `index ${descriptor.digest}`),
    )
    waiting.push(...(index?.manifests ?? []))
  }
  return [...found.values()]
}

async function unlessBroken<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof KauriError) return undefined
    throw error
  }
}

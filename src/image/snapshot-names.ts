// Which snapshots images stand on: those of their chain IDs.

import type { Descriptor } from '../oci/descriptor.ts'
import { chainIdsOf, hexOf } from '../oci/digest.ts'
import type { BlobSource } from '../store/store.ts'
import { openImage } from './open-image.ts'
import { manifestsOf, unlessBroken } from './stored-manifests.ts'

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

// Which layer a snapshot was packed as, so that nothing is packed twice. A record is a line with the digests of the tar
// and of the blob; it counts only while the store has both.

import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { canonicalJson, type Json } from '../core/canonical-json.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import { asDiffId, digestOf, hexOf, isDigest, parseDigest } from '../oci/digest.ts'
import type { DiskStore } from '../store/disk-store.ts'

export interface LayerRecords {
  /** The layer that was made from these inputs, or undefined. */
  find(inputs: Json): Promise<LayerOfImage | undefined>
  remember(inputs: Json, layer: LayerOfImage): Promise<void>
}

/** Records below `<dataRoot>/cache/layers`. */
export function layerRecords(dataRoot: string, store: DiskStore): LayerRecords {
  const recordOf = (inputs: Json): string =>
    path.join(dataRoot, 'cache', 'layers', hexOf(digestOf(canonicalJson(inputs))))
  return {
    async find(inputs) {
      const [diffId = '', blob = ''] = (await readTextIfThere(recordOf(inputs)))?.split(/\s/) ?? []
      if (!isDigest(diffId)) return undefined
      const known = store
        .findLayers(asDiffId(parseDigest(diffId)))
        .find(record => record.digest === blob)
      // Asked for, so that garbage collection keeps it while this build works.
      if (known === undefined || !(await store.hasBlob(known.digest))) return undefined
      const { mediaType, digest, size } = known
      return { descriptor: { mediaType, digest, size }, diffId: known.diffId }
    },
    async remember(inputs, { diffId, descriptor }) {
      await writeCacheRecord(recordOf(inputs), `${diffId} ${descriptor.digest}\n`, 0o600)
    },
  }
}

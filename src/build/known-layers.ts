// What is known of the layers that steps' results became: by the step's key, by the snapshot of its result, and from caches
// of other machines. Layers from elsewhere are fetched when they are needed, and checked before they count.

import { createReadStream } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import { decompress } from '../layer/decompress.ts'
import type { LayerCompression } from '../layer/layer.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import type { Snapshot } from '../rootfs/rootfs.ts'
import type { StoredLayer } from '../rootfs/unpack-layer.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { LayerRecord } from '../store/layer-records.ts'
import type { BlobSource } from '../store/store.ts'
import type { CacheImports } from './cache-imports.ts'
import { layerRecords } from './layer-records.ts'
import type { KeyedStep } from './stage-run.ts'
import { type StepLayer, stepLayerRecords } from './step-layer-records.ts'

/** The layer of a step's result, and where its blob is. */
export interface KnownLayer extends StepLayer {
  /** Undefined: in the store. */
  readonly source?: BlobSource | undefined
}

/** Times of files as the steps left them. */
export const keptTimes = 'kept'

export interface KnownLayers {
  /** The layer of a result with those times, by the step's key. */
  find(keyed: KeyedStep, times: string): Promise<KnownLayer | undefined>
  /** Puts the layer's blob into the store where it is not there. @throws BLOB_CORRUPT, CHECKSUM_MISMATCH, DISK_FULL */
  fetch(known: KnownLayer): Promise<StoredLayer>
  remember(keyed: KeyedStep, times: string, made: StepLayer): Promise<void>
  /** The layer that a snapshot was packed as, or came from. */
  findOfSnapshot(
    keyed: KeyedStep,
    snapshot: Snapshot,
    times: string,
  ): Promise<LayerOfImage | undefined>
  rememberOfSnapshot(
    keyed: KeyedStep,
    snapshot: Snapshot,
    made: { readonly times: string; readonly layer: LayerOfImage; readonly record?: LayerRecord },
  ): Promise<void>
}

export interface KnownLayersParts {
  readonly dataRoot: string
  readonly store: DiskStore
  readonly compression: LayerCompression
  readonly imports?: CacheImports | undefined
  readonly signal?: AbortSignal | undefined
}

/** Raised whenever equal snapshots and options would give another tar than before. */
const packFormat = 2

export function knownLayers(parts: KnownLayersParts): KnownLayers {
  const { dataRoot, store, compression, imports, signal } = parts
  const byKey = stepLayerRecords(dataRoot, store)
  const bySnapshot = layerRecords(dataRoot, store)
  const { codec, level } = compression
  const inputsOf = (
    { isLinked }: KeyedStep,
    { id, parent }: Snapshot,
    times: string,
  ): { readonly [name: string]: string | number | undefined } => {
    const below = isLinked ? undefined : parent
    return { step: packFormat, top: id, below, codec, level, times }
  }
  return {
    async find({ key: { key } }, times) {
      const known = await byKey.find({ key, times, compression })
      return known ?? imports?.findLayer(key, times)
    },
    async fetch({ layer, source }) {
      const { descriptor, diffId } = layer
      if (source !== undefined && !(await store.hasBlob(descriptor.digest)))
        await fetchLayer(layer, source, { store, signal })
      return { descriptor, diffId, open: () => store.openBlob(descriptor) }
    },
    remember: ({ key: { key } }, times, made) => byKey.remember({ key, times, compression }, made),
    findOfSnapshot: (keyed, snapshot, times) => bySnapshot.find(inputsOf(keyed, snapshot, times)),
    async rememberOfSnapshot(keyed, snapshot, { times, layer, record }) {
      if (record !== undefined) await store.rememberLayer(record)
      await bySnapshot.remember(inputsOf(keyed, snapshot, times), layer)
    },
  }
}

/** Stores a blob under the digest that it has, and only where it unpacks to what it was said to. */
async function fetchLayer(
  { descriptor, diffId }: LayerOfImage,
  source: BlobSource,
  { store, signal }: { readonly store: DiskStore; readonly signal: AbortSignal | undefined },
): Promise<void> {
  using batch = store.openBatch()
  const { digest, size, mediaType } = descriptor
  await batch.put(await source.openBlob(descriptor), { expected: { digest, size }, signal })
  const pending = batch.findPending(digest)
  if (pending === undefined) throw new KauriError('INTERNAL', `the blob ${digest} is nowhere`)
  const name = `layer ${digest}`
  const { bytes } = await decompress(createReadStream(pending.file), { name, signal })
  const digester = createDigester()
  let tarBytes = 0
  for await (const chunk of bytes) {
    digester.update(chunk)
    tarBytes += chunk.byteLength
  }
  const actual: Digest = digester.digest()
  if (actual !== diffId)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `${name} unpacks to ${actual}, its cache says ${diffId}`,
    )
  await batch.commit({ signal })
  await store.rememberLayer({ diffId, mediaType, digest, size, tarBytes })
}

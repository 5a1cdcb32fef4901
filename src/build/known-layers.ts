// What is known of the layers that steps' results became: by the step's key, by the snapshot of its result, and from caches
// of other machines. Layers from elsewhere are fetched when they are needed, and checked before they count.

import { createReadStream } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import { decompress } from '../layer/decompress.ts'
import type { LayerCompression } from '../layer/layer.ts'
import { createDigester } from '../oci/digest.ts'
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
  /**
   * Puts the layer's blob into the store where it is not there. Undefined where its cache does not give what it said: that
   * is told, and the layer is not known any more.
   * @throws DISK_FULL, CANCELLED
   */
  fetch(known: KnownLayer): Promise<StoredLayer | undefined>
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
  readonly emit: Emit
  readonly signal?: AbortSignal | undefined
}

/** Raised whenever equal snapshots and options would give another tar than before. */
const packFormat = 3

export function knownLayers(parts: KnownLayersParts): KnownLayers {
  const { dataRoot, store, compression, imports, signal, emit } = parts
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
      const stored = { descriptor, diffId, open: () => store.openBlob(descriptor) }
      if (source === undefined) return stored
      try {
        if (!(await store.hasBlob(descriptor.digest)))
          await fetchLayer(layer, source, { store, signal })
        // The blob of something else under that name would make an image that nobody can unpack.
        else if (!store.findLayers(diffId).some(({ digest }) => digest === descriptor.digest))
          await store.rememberLayer(
            await checkedLayer(layer, store.blobPath(descriptor.digest), signal),
          )
        return stored
      } catch (error) {
        if (signal?.aborted || isDiskFull(error)) throw error
        imports?.forgetLayer(descriptor.digest)
        const message = error instanceof Error ? error.message : String(error)
        emit({ kind: 'warning', message: `a layer of a cache is not used: ${message}` })
        return undefined
      }
    },
    remember: ({ key: { key } }, times, made) => byKey.remember({ key, times, compression }, made),
    findOfSnapshot: (keyed, snapshot, times) => bySnapshot.find(inputsOf(keyed, snapshot, times)),
    async rememberOfSnapshot(keyed, snapshot, { times, layer, record }) {
      if (record !== undefined) await store.rememberLayer(record)
      await bySnapshot.remember(inputsOf(keyed, snapshot, times), layer)
    },
  }
}

function isDiskFull(error: unknown): boolean {
  return error instanceof KauriError && error.code === 'DISK_FULL'
}

/** Stores a blob under the digest that it has, and only where it unpacks to what it was said to. */
async function fetchLayer(
  { descriptor, diffId }: LayerOfImage,
  source: BlobSource,
  { store, signal }: { readonly store: DiskStore; readonly signal: AbortSignal | undefined },
): Promise<void> {
  using batch = store.openBatch()
  const { digest, size } = descriptor
  await batch.put(await source.openBlob(descriptor), { expected: { digest, size }, signal })
  const pending = batch.findPending(digest)
  if (pending === undefined) throw new KauriError('INTERNAL', `the blob ${digest} is nowhere`)
  const record = await checkedLayer({ descriptor, diffId }, pending.file, signal)
  await batch.commit({ signal })
  await store.rememberLayer(record)
}

/** Unpacks a blob to nowhere. @throws CHECKSUM_MISMATCH where its tar is another one, ARCHIVE_INVALID */
async function checkedLayer(
  { descriptor, diffId }: LayerOfImage,
  file: string,
  signal: AbortSignal | undefined,
): Promise<LayerRecord> {
  const { digest, size, mediaType } = descriptor
  const name = `layer ${digest}`
  const { bytes } = await decompress(createReadStream(file), { name, signal })
  const digester = createDigester()
  let tarBytes = 0
  for await (const chunk of bytes) {
    digester.update(chunk)
    tarBytes += chunk.byteLength
  }
  const actual = digester.digest()
  if (actual === diffId) return { diffId, mediaType, digest, size, tarBytes }
  throw new KauriError(
    'CHECKSUM_MISMATCH',
    `${name} unpacks to ${actual}, its cache says ${diffId}`,
  )
}

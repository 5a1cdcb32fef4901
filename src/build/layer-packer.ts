// Packs the results of steps into layers, a few at a time and as early as they are there. A result that was packed before
// with the same options is not packed again.

import { createSlots } from '../core/concurrency.ts'
import { inStep } from '../core/events.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import type { LayerCompression } from '../layer/layer.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'
import type { ImageTimes } from './build-plans.ts'
import { byteProgress } from './byte-progress.ts'
import type { KnownLayers } from './known-layers.ts'
import { type PackWork, packSource } from './pack-source.ts'
import { openSnapshotChange } from './snapshot-change.ts'
import type { MadeStep } from './stage-run.ts'
import { packTimes, timesOf } from './step-layer-records.ts'

export interface LayerPackerWork extends PackWork {
  readonly snapshotter: Snapshotter
  readonly layers: KnownLayers
  readonly compression: LayerCompression
  readonly times: ImageTimes
  /** Id of the event about packing. */
  readonly stepId: string
}

/** The layer of a step's result. */
export interface PackedStep {
  readonly step: MadeStep
  readonly layer: LayerOfImage
  /** For layers that were packed now: call it once their blobs are committed. */
  readonly remember?: () => Promise<void>
}

/** Disposing it stops what is under way and waits for it; idempotent. */
export interface LayerPacker extends AsyncDisposable {
  /** Begins to pack a result. */
  begin(step: MadeStep): void
  /** The layers of results, in their order; waits for those that were begun and packs the others. @throws DISK_FULL, CANCELLED, UNSUPPORTED */
  finish(made: readonly MadeStep[]): Promise<PackedStep[]>
}

/** Layers packed at the same time: one is read while others are compressed. */
const packsAtOnce = 2

/** Packs into the batch of the work. */
export function layerPacker(work: LayerPackerWork): LayerPacker {
  const controller = new AbortController()
  const own = controller.signal
  const signal = work.signal === undefined ? own : AbortSignal.any([work.signal, own])
  const slots = createSlots(packsAtOnce)
  const underWay = new Map<MadeStep, Promise<PackedStep>>()
  const ended = new Set<MadeStep>()
  const progress = byteProgress(work.emit, work.stepId)
  let isTold = false
  const onBytes = (count: number): void => {
    if (isTold) progress.add(count)
  }
  const begin = (step: MadeStep): Promise<PackedStep> => {
    const begun =
      underWay.get(step) ??
      slots.run(async () => {
        const packed = await packOrFind(step, { ...work, signal }, onBytes)
        ended.add(step)
        return packed
      }, signal)
    underWay.set(step, begun)
    // Told by `finish`; until then a failure must not count as unhandled.
    begun.catch(() => {})
    return begun
  }
  return {
    begin: step => void begin(step),
    async finish(made) {
      const all = Promise.all(made.map(begin))
      // Those that are known already need a moment, and no line of progress.
      await Promise.race([all, new Promise(resolve => setImmediate(resolve))])
      const left = made.filter(step => !ended.has(step)).length
      if (left === 0) return await all
      isTold = true
      return await inStep(work.emit, { id: work.stepId, title: packTitle(left) }, () => all)
    },
    async [Symbol.asyncDispose]() {
      controller.abort()
      await Promise.allSettled(underWay.values())
    },
  }
}

function packTitle(count: number): string {
  return `pack ${count} layer${count === 1 ? '' : 's'}`
}

async function packOrFind(
  step: MadeStep,
  work: LayerPackerWork,
  onBytes: (count: number) => void,
): Promise<PackedStep> {
  const { keyed, snapshot } = step
  const times = timesOf(keyed.step, work.times)
  const known = await work.layers.findOfSnapshot(keyed, snapshot, times)
  if (known !== undefined) return { step, layer: known }
  const { compression, snapshotter, layers } = work
  const below = keyed.isLinked ? undefined : snapshot.parent
  using opened = await openSnapshotChange(snapshot.id, below, snapshotter)
  const options = { compression, ...packTimes(times), withoutRoot: true, onBytes }
  const record = await packSource(opened.source, options, work)
  const { diffId, mediaType, digest, size } = record
  const layer = { descriptor: { mediaType, digest, size }, diffId }
  const remember = (): Promise<void> =>
    layers.rememberOfSnapshot(keyed, snapshot, { times, layer, record })
  return { step, layer, remember }
}

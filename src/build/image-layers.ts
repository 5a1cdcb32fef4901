// Turns the root at the end of a plan into layers: one with everything, or one for each phase. What was packed before
// with the same options is taken from the store.

import type { Json } from '../core/canonical-json.ts'
import { inStep } from '../core/events.ts'
import type { LayerOfImage } from '../image/create-image.ts'
import type { SnapshotId, Snapshotter } from '../rootfs/rootfs.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { LayerRecord } from '../store/layer-records.ts'
import type { BuiltRoot, CommitOptions } from './build.ts'
import { byteProgress } from './byte-progress.ts'
import { layerRecords } from './layer-records.ts'
import { isLeftOut } from './left-out.ts'
import { type PackWork, packSource } from './pack-source.ts'
import { openSnapshotChange } from './snapshot-change.ts'

/** Raised whenever equal snapshots and options would give another tar than before. */
const packFormat = 3
/** The same for layers that hold a change. */
const changeFormat = 3

export interface LayerWork extends PackWork {
  readonly dataRoot: string
  readonly snapshotter: Snapshotter
  readonly store: DiskStore
}

/** Snapshots of one layer: what `top` has beyond `below`. */
export interface LayerSpan {
  readonly title: string
  readonly top: SnapshotId
  /** Undefined: the layer is the whole tree. */
  readonly below: SnapshotId | undefined
}

/** The spans of a root, bottom first: all in one, or one for each phase in a row of steps. */
export function layerSpans(built: BuiltRoot, layers: CommitOptions['layers']): LayerSpan[] {
  if (layers === 'single') return [{ title: 'image', top: built.snapshot, below: undefined }]
  const spans: LayerSpan[] = []
  for (const step of built.steps) {
    const last = spans.at(-1)
    if (last?.title === step.phase) spans.splice(-1, 1, { ...last, top: step.snapshot })
    else spans.push({ title: step.phase, top: step.snapshot, below: last?.top })
  }
  return spans
}

/** A layer of the image being made. */
export interface ReadyLayer {
  readonly layer: LayerOfImage
  /** For layers that were packed now: call it once their blobs are committed. */
  readonly remember?: () => Promise<void>
}

/** Packs what the store lacks, into the batch. @throws DISK_FULL, CANCELLED, UNSUPPORTED */
export async function packLayers(
  built: BuiltRoot,
  options: CommitOptions,
  work: LayerWork,
): Promise<ReadyLayer[]> {
  const records = layerRecords(work.dataRoot, work.store)
  const layers: ReadyLayer[] = []
  for (const span of layerSpans(built, options.layers)) {
    const inputs = inputsOf(span, built, options)
    const known = await records.find(inputs)
    if (known !== undefined) {
      layers.push({ layer: known })
      continue
    }
    const step = { id: packStepId(span), title: `pack ${span.title}` }
    const record = await inStep(work.emit, step, () => packSpan(span, { built, options, work }))
    const { diffId, mediaType, digest, size } = record
    const layer = { descriptor: { mediaType, digest, size }, diffId }
    layers.push({
      layer,
      remember: async () => {
        await work.store.rememberLayer(record)
        await records.remember(inputs, layer)
      },
    })
  }
  return layers
}

/** The time that the image is of, in seconds since 1970. */
export function imageEpoch(built: BuiltRoot, options: CommitOptions): number {
  return options.sourceDateEpoch ?? built.newestFileSeconds
}

function inputsOf(span: LayerSpan, built: BuiltRoot, options: CommitOptions): Json {
  const { codec, level } = options.compression
  const epoch = imageEpoch(built, options)
  const changes = span.below === undefined ? undefined : changeFormat
  return { format: packFormat, top: span.top, below: span.below, changes, codec, level, epoch }
}

function packStepId({ top }: LayerSpan): string {
  return `pack-${top}`
}

interface SpanWork {
  readonly built: BuiltRoot
  readonly options: CommitOptions
  readonly work: LayerWork
}

async function packSpan(span: LayerSpan, { built, options, work }: SpanWork): Promise<LayerRecord> {
  using opened = await openSnapshotChange(span.top, span.below, work.snapshotter)
  const progress = byteProgress(work.emit, packStepId(span))
  const packing = {
    compression: options.compression,
    clampMtime: imageEpoch(built, options),
    exclude: isLeftOut,
    onBytes: (count: number) => progress.add(count),
  }
  return await packSource(opened.source, packing, work)
}

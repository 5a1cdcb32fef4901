// The layers of an image that a Dockerfile describes: those of its base, and one for each step. What is known by record is
// taken; the rest is packed, several at a time.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import type { LayerOfImage } from '../image/create-image.ts'

import type { SnapshotId, Snapshotter } from '../rootfs/rootfs.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuildRequest } from './build-plans.ts'
import { byteProgress } from './byte-progress.ts'
import { layerRecords } from './layer-records.ts'
import { type PackWork, packSource } from './pack-source.ts'
import type { PlanRun } from './plan-run.ts'
import { chainOnto, type ResultLine } from './result-line.ts'
import { openSnapshotChange } from './snapshot-change.ts'
import type { KeyedStep, MadeStep } from './stage-run.ts'
import { packTimes, type StepLayer, stepLayerRecords, timesOf } from './step-layer-records.ts'

export interface ResultLayersWork extends PackWork {
  readonly dataRoot: string
  readonly snapshotter: Snapshotter
  readonly store: DiskStore
  readonly request: Pick<BuildRequest, 'times' | 'compression'>
  /** Id of the event about packing. */
  readonly stepId: string
}

/** The layer of one step. */
export interface ReadyStepLayer extends StepLayer {
  readonly keyed: KeyedStep
  /** How its times came about. */
  readonly times: string
  /** Undefined where the layer was found by the step's key. Call it once the blobs are committed. */
  readonly remember?: () => Promise<void>
}

/**
 * The layers of the line's steps, in order. Steps are carried out only where a layer is not known.
 * @throws what performing throws; DISK_FULL, CANCELLED, UNSUPPORTED
 */
export async function resultLayers(
  line: ResultLine,
  plan: PlanRun,
  work: ResultLayersWork,
): Promise<readonly ReadyStepLayer[]> {
  const known = await findAll(line, work)
  if (known !== undefined) {
    for (const run of plan.stages) run.tellAllCached()
    return known
  }
  const top = line.runs.at(-1)
  if (top === undefined) throw new KauriError('INTERNAL', 'an image without a stage')
  await plan.reach(top)
  for (const run of plan.stages) run.tellAllCached()
  return await packMissing(line, work)
}

/** Undefined where one is missing, or does not stand on the one before it. */
async function findAll(
  { runs, chain }: ResultLine,
  work: ResultLayersWork,
): Promise<readonly ReadyStepLayer[] | undefined> {
  if (runs.some(run => !run.usesCache)) return undefined
  const records = stepLayerRecords(work.dataRoot, work.store)
  const { compression } = work.request
  const found: ReadyStepLayer[] = []
  let below = chain
  for (const keyed of runs.flatMap(({ steps }) => steps)) {
    const times = timesOf(keyed.step, work.request.times)
    const known = await records.find({ key: keyed.key.key, times, compression })
    if (known === undefined || (!keyed.isLinked && known.below !== below)) return undefined
    found.push({ ...known, keyed, times })
    below = chainOnto(below, known.layer.diffId)
  }
  return found
}

/** Layers packed at the same time: one reads while others are compressed. */
const packsAtOnce = 3

async function packMissing(
  { runs, chain }: ResultLine,
  work: ResultLayersWork,
): Promise<readonly ReadyStepLayer[]> {
  const made = runs.flatMap(run => run.made)
  const layers = await packAll(made, work)
  const records = stepLayerRecords(work.dataRoot, work.store)
  const { compression } = work.request
  let stack = chain
  return layers.map(({ step, layer, remember }): ReadyStepLayer => {
    const { keyed, record } = step
    const times = timesOf(keyed.step, work.request.times)
    const below = keyed.isLinked ? undefined : stack
    stack = chainOnto(stack, layer.diffId)
    const ready = { layer, below, created: record.created ?? unknownTime }
    return {
      ...ready,
      keyed,
      times,
      remember: async () => {
        await remember?.()
        await records.remember({ key: keyed.key.key, times, compression }, ready)
      },
    }
  })
}

/** For results of which nobody knows when they were made. */
const unknownTime = '1970-01-01T00:00:00Z'

interface PackedStep {
  readonly step: MadeStep
  readonly layer: LayerOfImage
  readonly remember?: () => Promise<void>
}

async function packAll(made: readonly MadeStep[], work: ResultLayersWork): Promise<PackedStep[]> {
  const records = layerRecords(work.dataRoot, work.store)
  const packed = new Map<MadeStep, PackedStep>()
  const missing: MadeStep[] = []
  for (const step of made) {
    const layer = await records.find(inputsOf(step, work))
    if (layer === undefined) missing.push(step)
    else packed.set(step, { step, layer })
  }
  if (missing.length > 0)
    await inStep(work.emit, { id: work.stepId, title: packTitle(missing.length) }, async () => {
      const progress = byteProgress(work.emit, work.stepId)
      await mapConcurrent(missing, packsAtOnce, async step => {
        const onBytes = (count: number): void => progress.add(count)
        packed.set(step, await packStep(step, { work, onBytes, records }))
      })
    })
  return made.flatMap(step => packed.get(step) ?? [])
}

function packTitle(count: number): string {
  return `pack ${count} layer${count === 1 ? '' : 's'}`
}

/** Raised whenever equal snapshots and options would give another tar than before. */
const packFormat = 1

function inputsOf(
  { keyed, snapshot }: MadeStep,
  { request }: ResultLayersWork,
): { readonly [key: string]: string | number | undefined } {
  const { codec, level } = request.compression
  const times = timesOf(keyed.step, request.times)
  return {
    step: packFormat,
    top: snapshot.id,
    below: belowOf(keyed, snapshot.parent),
    codec,
    level,
    times,
  }
}

function belowOf({ isLinked }: KeyedStep, parent: SnapshotId | undefined): SnapshotId | undefined {
  return isLinked ? undefined : parent
}

async function packStep(
  step: MadeStep,
  {
    work,
    onBytes,
    records,
  }: {
    readonly work: ResultLayersWork
    readonly onBytes: (count: number) => void
    readonly records: ReturnType<typeof layerRecords>
  },
): Promise<PackedStep> {
  const { keyed, snapshot } = step
  const { request, snapshotter, store } = work
  using opened = await openSnapshotChange(snapshot.id, belowOf(keyed, snapshot.parent), snapshotter)
  const record = await packSource(
    opened.source,
    {
      compression: request.compression,
      ...packTimes(timesOf(keyed.step, request.times)),
      withoutRoot: true,
      onBytes,
    },
    work,
  )
  const { diffId, mediaType, digest, size } = record
  const layer = { descriptor: { mediaType, digest, size }, diffId }
  const remember = async (): Promise<void> => {
    await store.rememberLayer(record)
    await records.remember(inputsOf(step, work), layer)
  }
  return { step, layer, remember }
}

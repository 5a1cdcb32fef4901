// The layers of an image that a Dockerfile describes: those of its base, and one for each step. What is known by record is
// taken; the rest is packed, several at a time.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import type { LayerOfImage } from '../image/create-image.ts'

import type { LayerCompression } from '../layer/layer.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'
import type { ImageTimes } from './build-plans.ts'
import { byteProgress } from './byte-progress.ts'
import type { KnownLayer, KnownLayers } from './known-layers.ts'
import { type PackWork, packSource } from './pack-source.ts'
import type { PlanRun } from './plan-run.ts'
import { chainOnto, type ResultLine } from './result-line.ts'
import { openSnapshotChange } from './snapshot-change.ts'
import type { KeyedStep, MadeStep } from './stage-run.ts'
import { packTimes, type StepLayer, timesOf } from './step-layer-records.ts'

export interface ResultLayersWork extends PackWork {
  readonly snapshotter: Snapshotter
  readonly layers: KnownLayers
  readonly compression: LayerCompression
  readonly times: ImageTimes
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
  const top = line.runs.at(-1)
  if (top === undefined) throw new KauriError('INTERNAL', 'an image without a stage')
  if (known !== undefined) {
    for (const run of plan.stages) run.tellAllCached()
    // Looked up, so that garbage collection keeps what the next change stands on.
    await top.rootResult()
    return known
  }
  await plan.reach(top)
  for (const run of plan.stages) run.tellAllCached()
  return await packMissing(line, work)
}

/**
 * The layers of a line's steps where each is known by record and stands on the one before it; undefined where not.
 * They are in the store then.
 */
export async function findAll(
  { runs, chain }: ResultLine,
  { layers, times: imageTimes }: Pick<ResultLayersWork, 'layers' | 'times'>,
): Promise<readonly ReadyStepLayer[] | undefined> {
  if (runs.some(run => !run.usesCache)) return undefined
  const found: (ReadyStepLayer & KnownLayer)[] = []
  let below = chain
  for (const keyed of runs.flatMap(({ steps }) => steps)) {
    const times = timesOf(keyed.step, imageTimes)
    const known = await layers.find(keyed, times)
    if (known === undefined || (!keyed.isLinked && known.below !== below)) return undefined
    const remember = known.source && ((): Promise<void> => layers.remember(keyed, times, known))
    found.push({ ...known, keyed, times, ...(remember === undefined ? {} : { remember }) })
    below = chainOnto(below, known.layer.diffId)
  }
  await mapConcurrent(found, packsAtOnce, known => layers.fetch(known))
  return found
}

/** Layers packed, or fetched, at the same time: one is read while others are compressed. */
const packsAtOnce = 3

/** The layers of a line whose results are all there; packs what is not known. @throws DISK_FULL, CANCELLED, UNSUPPORTED */
export async function packMissing(
  { runs, chain }: ResultLine,
  work: ResultLayersWork,
): Promise<readonly ReadyStepLayer[]> {
  const packed = await packAll(
    runs.flatMap(run => run.made),
    work,
  )
  let stack = chain
  return packed.map(({ step, layer, remember }): ReadyStepLayer => {
    const { keyed, record } = step
    const times = timesOf(keyed.step, work.times)
    const below = keyed.isLinked ? undefined : stack
    stack = chainOnto(stack, layer.diffId)
    const made = { layer, below, created: record.created ?? unknownTime }
    return {
      ...made,
      keyed,
      times,
      remember: async () => {
        await remember?.()
        await work.layers.remember(keyed, times, made)
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
  const packed = new Map<MadeStep, PackedStep>()
  const missing: MadeStep[] = []
  for (const step of made) {
    const { keyed, snapshot } = step
    const times = timesOf(keyed.step, work.times)
    const layer = await work.layers.findOfSnapshot(keyed, snapshot, times)
    if (layer === undefined) missing.push(step)
    else packed.set(step, { step, layer })
  }
  if (missing.length > 0)
    await inStep(work.emit, { id: work.stepId, title: packTitle(missing.length) }, async () => {
      const progress = byteProgress(work.emit, work.stepId)
      const onBytes = (count: number): void => progress.add(count)
      await mapConcurrent(missing, packsAtOnce, async step => {
        packed.set(step, await packStep(step, work, onBytes))
      })
    })
  return made.flatMap(step => packed.get(step) ?? [])
}

function packTitle(count: number): string {
  return `pack ${count} layer${count === 1 ? '' : 's'}`
}

async function packStep(
  step: MadeStep,
  work: ResultLayersWork,
  onBytes: (count: number) => void,
): Promise<PackedStep> {
  const { keyed, snapshot } = step
  const { compression, snapshotter, layers } = work
  const times = timesOf(keyed.step, work.times)
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

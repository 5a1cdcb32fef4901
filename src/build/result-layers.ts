// The layers of an image that a Dockerfile describes: those of its base, and one for each step. What is known by record is
// taken; the rest is packed, several at a time.

import { mapConcurrent } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import type { ImageTimes } from './build-plans.ts'
import type { KnownLayer, KnownLayers } from './known-layers.ts'
import { type LayerPacker, type LayerPackerWork, layerPacker } from './layer-packer.ts'
import type { PlanRun } from './plan-run.ts'
import { chainOnto, type ResultLine } from './result-line.ts'
import type { KeyedStep } from './stage-run.ts'
import { type StepLayer, timesOf } from './step-layer-records.ts'

export interface ResultLayersWork extends LayerPackerWork {
  readonly layers: KnownLayers
  readonly times: ImageTimes
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
  await using packer = layerPacker(work)
  // What is there is packed while the steps behind it work.
  for (const run of line.runs) run.watch(step => packer.begin(step))
  await plan.reach(top)
  for (const run of plan.stages) run.tellAllCached()
  return await stackLayers(line, packer, work)
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
  const stored = await mapConcurrent(found, fetchesAtOnce, known => layers.fetch(known))
  return stored.includes(undefined) ? undefined : found
}

/** Layers fetched at the same time. */
const fetchesAtOnce = 3

/** The layers of a line whose results are all there; packs what is not known. @throws DISK_FULL, CANCELLED, UNSUPPORTED */
export async function packMissing(
  line: ResultLine,
  work: ResultLayersWork,
): Promise<readonly ReadyStepLayer[]> {
  await using packer = layerPacker(work)
  return await stackLayers(line, packer, work)
}

async function stackLayers(
  { runs, chain }: ResultLine,
  packer: LayerPacker,
  work: ResultLayersWork,
): Promise<readonly ReadyStepLayer[]> {
  const packed = await packer.finish(runs.flatMap(run => run.made))
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

// All stages of a plan on their way. Each learns its keys at once, beside the others; a stage is carried out when somebody
// needs its root. The first failure stops the rest, which is waited for.

import { availableParallelism } from 'node:os'
import { createSlots } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import type { BuildPlan, BuildStage } from '../plan/plan.ts'
import type { OpenTree, Snapshot } from '../rootfs/rootfs.ts'
import type { BuildOptions } from './build.ts'
import { openBuildContexts } from './build-contexts.ts'
import { openEmptyRoot } from './empty-root.ts'
import { type StageContents, stageContents } from './stage-contents.ts'
import { emptyGround, imageGround, type StageGround, stageGround } from './stage-ground.ts'
import { type ExecutorParts, once, openStageRun, type StageRun } from './stage-run.ts'
import type { StageRoots } from './steps/step.ts'

/** A plan whose stages are under way. Disposing it stops them and waits; idempotent. */
export interface PlanRun extends AsyncDisposable {
  /** Of the ids of its events. */
  readonly idPrefix: string
  /** Stages by the order of the plan; the last one is the result. */
  readonly stages: readonly StageRun[]
  readonly result: StageRun
  /** What each stage starts from. @throws what finding its image throws */
  groundOf(stage: StageRun): Promise<StageGround>
  /** Learns the keys of all steps of all stages, side by side. @throws the first failure */
  learnKeys(): Promise<void>
  /** Makes the final root of a stage and says which it is. @throws the first failure */
  reach(stage: StageRun): Promise<Snapshot | undefined>
  /** Makes it and opens it for reading. The caller disposes it. */
  openRoot(stage: StageRun): Promise<OpenTree>
}

export interface PlanRunOptions {
  readonly options: BuildOptions
  readonly parts: ExecutorParts
  /** Nothing is carried out: what would have to be ends in a NotBuiltError. */
  readonly onlyLooks?: boolean
  /** Prefix of the ids of events, for builds of several plans. */
  readonly idPrefix?: string
}

/** Opens a plan; nothing is done before the first call. */
export function openPlanRun(
  { options, parts, idPrefix = '', onlyLooks = false }: PlanRunOptions,
  plan: BuildPlan,
): PlanRun {
  const controller = new AbortController()
  const { signal: callers } = options
  const signal =
    callers === undefined ? controller.signal : AbortSignal.any([callers, controller.signal])
  const underWay = new Set<Promise<unknown>>()
  let failure: { readonly error: unknown } | undefined

  /** Keeps the first failure and stops what else is under way. */
  async function watched<T>(work: Promise<T>): Promise<T> {
    underWay.add(work)
    try {
      return await work
    } catch (error) {
      if (onlyLooks) throw error
      failure ??= { error }
      controller.abort(error)
      throw failure.error
    } finally {
      underWay.delete(work)
    }
  }

  const slots = createSlots(Math.max(leastSlots, availableParallelism()))
  const runs = new Map<string, StageRun>()
  const grounds = new Map<StageRun, () => Promise<StageGround>>()
  const reached = new Map<StageRun, Promise<Snapshot | undefined>>()
  const get = (id: string): StageRun => {
    const run = runs.get(id)
    if (run === undefined) throw new KauriError('INTERNAL', `the plan has no stage "${id}" there`)
    return run
  }
  const reach = (run: StageRun): Promise<Snapshot | undefined> => {
    const begun = reached.get(run) ?? watched(reachRoot(run, contents))
    reached.set(run, begun)
    return begun
  }
  const contents = stageContents(parts.dataRoot, {
    reach,
    isReached: run => reached.has(run),
    open: snapshot => openRoot(snapshot),
  })
  const openRoot = (snapshot: Snapshot | undefined): OpenTree =>
    snapshot === undefined ? openEmptyRoot() : parts.snapshotter.open(snapshot.id)
  const contexts = openBuildContexts(plan, parts.dataRoot)
  const roots: StageRoots = {
    openStage: async id => openRoot(await reach(get(id))),
    prepareStage: async id =>
      await parts.snapshotter.prepare((await reach(get(id)))?.id, { signal }),
    stageSnapshot: async id => (await reach(get(id)))?.id,
    stageDigest: (id, selector, compute) => contents.digest(get(id), { selector, compute }),
  }
  for (const [index, stage] of plan.stages.entries()) {
    const below = stage.base.kind === 'stage' ? get(stage.base.stage) : undefined
    const stageOptions = { ...options, signal, useCache: usesCache(stage, below, options) }
    const ground = once(() => groundOf(stage, below, { parts, options: stageOptions }))
    const run = openStageRun({
      plan,
      stage,
      options: stageOptions,
      parts,
      ground,
      roots,
      contexts,
      slots,
      reachStages: async ids => {
        await Promise.all(ids.map(id => reach(get(id))))
      },
      onlyLooks,
      idPrefix: plan.stages.length === 1 ? idPrefix : `${idPrefix}stage-${index}-`,
    })
    runs.set(stage.id, run)
    grounds.set(run, ground)
  }
  const stages = [...runs.values()]
  return {
    idPrefix,
    stages,
    result: resultOf(stages),
    groundOf: async run => {
      const ground = grounds.get(run)
      if (ground === undefined) throw new KauriError('INTERNAL', 'a stage of another plan')
      return await watched(ground())
    },
    async learnKeys() {
      await Promise.all(stages.map(run => watched(run.learnKeys())))
    },
    reach,
    openRoot: async stage => openRoot(await reach(stage)),
    async [Symbol.asyncDispose]() {
      controller.abort()
      while (underWay.size > 0) await Promise.allSettled(underWay)
      await contexts[Symbol.asyncDispose]()
    },
  }
}

const leastSlots = 4

/** A stage on top of one that is made anew is made anew as well: its results would stand on another root. */
function usesCache(stage: BuildStage, below: StageRun | undefined, options: BuildOptions): boolean {
  if (!options.useCache || options.noCacheStages?.has(stage.id) === true) return false
  return below?.usesCache !== false
}

async function groundOf(
  stage: BuildStage,
  below: StageRun | undefined,
  context: { readonly parts: ExecutorParts; readonly options: BuildOptions },
): Promise<StageGround> {
  if (below !== undefined) return await stageGround(below)
  if (stage.base.kind === 'image') return await imageGround(stage, stage.base.manifest, context)
  return emptyGround(stage)
}

function resultOf(stages: readonly StageRun[]): StageRun {
  const result = stages.at(-1)
  if (result === undefined) throw new KauriError('INTERNAL', 'the plan has no stage')
  return result
}

async function reachRoot(run: StageRun, contents: StageContents): Promise<Snapshot | undefined> {
  const tree = await run.reach()
  const snapshot = await tree.make()
  await contents.check(run, snapshot)
  return snapshot
}

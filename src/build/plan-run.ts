// All stages of a plan on their way. Each learns its keys at once, beside the others; a stage is carried out when somebody
// needs its root. The first failure stops the rest, which is waited for.

import { availableParallelism } from 'node:os'
import { createSlots } from '../core/concurrency.ts'
import { KauriError } from '../core/errors.ts'
import type { BuildPlan, BuildStage } from '../plan/plan.ts'
import type { OpenTree, Snapshot } from '../rootfs/rootfs.ts'
import type { BuildOptions } from './build.ts'
import { type BuildContexts, openBuildContexts } from './build-contexts.ts'
import type { CacheImports } from './cache-imports.ts'
import { openEmptyRoot } from './empty-root.ts'
import type { KnownLayers } from './known-layers.ts'
import { type KnownContent, type StageContents, stageContents } from './stage-contents.ts'
import { emptyGround, imageGround, type StageGround, stageGround } from './stage-ground.ts'
import { type ExecutorParts, openStageRun, type StageInput, type StageRun } from './stage-run.ts'
import { stepRestorer } from './step-restorer.ts'
import { stepSnapshots } from './step-snapshots.ts'
import type { StageRoots } from './steps/step.ts'

/** A plan whose stages are under way. Disposing it stops them and waits; idempotent. */
export interface PlanRun extends AsyncDisposable {
  /** Of the ids of its events. */
  readonly idPrefix: string
  /** Caches of other machines. */
  readonly imports: CacheImports | undefined
  /** Stages by the order of the plan; the last one is the result. */
  readonly stages: readonly StageRun[]
  readonly result: StageRun
  /** Learns the keys of all steps of all stages, side by side. @throws the first failure */
  learnKeys(): Promise<void>
  /** Makes the final root of a stage and says which it is. @throws the first failure */
  reach(stage: StageRun): Promise<Snapshot | undefined>
  /** Makes it and opens it for reading. The caller disposes it. */
  openRoot(stage: StageRun): Promise<OpenTree>
  /** What steps read from other stages, as far as it was asked for. */
  contents(): readonly KnownContent[]
}

export interface PlanRunOptions {
  readonly options: BuildOptions
  readonly parts: ExecutorParts
  /** Nothing is carried out: what would have to be ends in a NotBuiltError. */
  readonly onlyLooks?: boolean
  /** Layers that results can be brought back from; undefined where only snapshots count. */
  readonly layers?: KnownLayers | undefined
  readonly imports?: CacheImports | undefined
  /** Prefix of the ids of events, for builds of several plans. */
  readonly idPrefix?: string
}

/** Opens a plan; nothing is done before the first call. */
export function openPlanRun(options: PlanRunOptions, plan: BuildPlan): PlanRun {
  return new PlanRunner(options, plan)
}

class PlanRunner implements PlanRun {
  readonly idPrefix: string
  readonly imports: CacheImports | undefined
  readonly stages: readonly StageRun[]
  readonly result: StageRun
  readonly #options: PlanRunOptions
  readonly #controller = new AbortController()
  readonly #signal: AbortSignal
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #runs = new Map<string, StageRun>()
  readonly #reached = new Map<StageRun, Promise<Snapshot | undefined>>()
  readonly #contents: StageContents
  readonly #contexts: BuildContexts
  #failure: { readonly error: unknown } | undefined

  constructor(options: PlanRunOptions, plan: BuildPlan) {
    const { dataRoot } = options.parts
    const { signal } = options.options
    const own = this.#controller.signal
    this.idPrefix = options.idPrefix ?? ''
    this.imports = options.imports
    this.#options = options
    this.#signal = signal === undefined ? own : AbortSignal.any([signal, own])
    this.#contexts = openBuildContexts(plan, dataRoot)
    this.#contents = stageContents(dataRoot, {
      reach: run => this.reach(run),
      isReached: run => this.#reached.has(run),
      open: root => this.#open(root),
      imports: options.imports,
    })
    const slots = createSlots(Math.max(leastSlots, availableParallelism()))
    for (const [index, stage] of plan.stages.entries())
      this.#runs.set(stage.id, openStageRun({ ...this.#inputOf(plan, stage, index), slots }))
    this.stages = [...this.#runs.values()]
    this.result = resultOf(this.stages)
  }

  async learnKeys(): Promise<void> {
    await Promise.all(this.stages.map(run => this.#watched(run.learnKeys())))
  }

  reach(run: StageRun): Promise<Snapshot | undefined> {
    const begun = this.#reached.get(run) ?? this.#watched(reachRoot(run, this.#contents))
    this.#reached.set(run, begun)
    return begun
  }

  async openRoot(run: StageRun): Promise<OpenTree> {
    return this.#open(await this.reach(run))
  }

  contents(): readonly KnownContent[] {
    return this.#contents.known()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#controller.abort()
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
    for (const stage of this.stages) stage.release()
    await this.#contexts[Symbol.asyncDispose]()
  }

  #inputOf(plan: BuildPlan, stage: BuildStage, index: number): Omit<StageInput, 'slots'> {
    const { parts, onlyLooks = false, layers } = this.#options
    const below = stage.base.kind === 'stage' ? this.#get(stage.base.stage) : undefined
    const useCache = usesCache(stage, below, this.#options.options)
    const options = { ...this.#options.options, signal: this.#signal, useCache }
    const { snapshotter, dataRoot } = parts
    const results = stepSnapshots(snapshotter, dataRoot)
    return {
      plan,
      stage,
      options,
      parts,
      ground: () => groundOf(stage, below, { parts, options }),
      roots: this.#roots(),
      contexts: this.#contexts,
      restorer: layers && stepRestorer({ snapshotter, results, layers, options }),
      reachStages: async ids => {
        await Promise.all(ids.map(id => this.reach(this.#get(id))))
      },
      onlyLooks,
      idPrefix: plan.stages.length === 1 ? this.idPrefix : `${this.idPrefix}stage-${index}-`,
    }
  }

  #roots(): StageRoots {
    const { snapshotter } = this.#options.parts
    const reach = (id: string): Promise<Snapshot | undefined> => this.reach(this.#get(id))
    return {
      openStage: async id => this.#open(await reach(id)),
      prepareStage: async id =>
        await snapshotter.prepare((await reach(id))?.id, { signal: this.#signal }),
      stageSnapshot: async id => (await reach(id))?.id,
      stageDigest: (id, selector, compute) =>
        this.#contents.digest(this.#get(id), { selector, compute }),
    }
  }

  #get(id: string): StageRun {
    const run = this.#runs.get(id)
    if (run === undefined) throw new KauriError('INTERNAL', `the plan has no stage "${id}" there`)
    return run
  }

  #open(root: Snapshot | undefined): OpenTree {
    return root === undefined ? openEmptyRoot() : this.#options.parts.snapshotter.open(root.id)
  }

  /** Keeps the first failure and stops what else is under way. */
  async #watched<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    try {
      return await work
    } catch (error) {
      if (this.#options.onlyLooks) throw error
      this.#failure ??= { error }
      this.#controller.abort(error)
      throw this.#failure.error
    } finally {
      this.#underWay.delete(work)
    }
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

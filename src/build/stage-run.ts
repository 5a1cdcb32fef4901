// One stage on its way. Keys are computed forward; results are looked up from the last step backwards, so a build with
// nothing changed touches few snapshots. An installation onto a root with packages can be resolved only when that root is
// there, so the steps before it are carried out before its key is known; all other steps learn side by side what they
// read.

import { mapConcurrent, type Slots } from '../core/concurrency.ts'
import { ignoreEvents } from '../core/events.ts'
import { cancelled } from '../core/process.ts'
import { type Digest, hexOf } from '../oci/digest.ts'
import type { BuildPlan, BuildStage, BuildStep } from '../plan/plan.ts'
import { type Rootfs, type Snapshot, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuildOptions, StepRecord } from './build.ts'
import type { BuildContexts } from './build-contexts.ts'
import { findResults } from './find-results.ts'
import { emptyTree, type LazyTree, mergedTree, presentTree } from './lazy-tree.ts'
import { type CarriedOut, carryOut, recordOf, tellCached } from './perform-step.ts'
import { type BaseTeller, baseTeller } from './stage-base-events.ts'
import type { StageGround } from './stage-ground.ts'
import { emptyRootKey, linkedRootKey, type StepKey, stepKey } from './step-key.ts'
import { type LayerStack, type StepRestorer, unknownStack } from './step-restorer.ts'
import { createdOf, type StepSnapshots, stepSnapshots } from './step-snapshots.ts'
import { checkPackageNames } from './steps/install-step.ts'
import { prepareStep } from './steps/prepare-step.ts'
import type { PreparedStep, StageRoots, StepContext, StepTools } from './steps/step.ts'

/** What an executor works with. */
export interface ExecutorParts extends StepTools {
  readonly snapshotter: Snapshotter
  /** Where the images are that stages start from. */
  readonly store?: DiskStore
}

export interface StageInput {
  readonly plan: BuildPlan
  readonly stage: BuildStage
  readonly options: BuildOptions
  readonly parts: ExecutorParts
  readonly ground: () => Promise<StageGround>
  readonly roots: StageRoots
  readonly contexts: BuildContexts
  /** Brings back what was made before from its layers; undefined where only snapshots count. */
  readonly restorer?: StepRestorer | undefined
  /** Bounds the steps of all stages that work at the same time. */
  readonly slots: Slots
  /** Makes the ends of stages that are about to be read. */
  readonly reachStages: (ids: readonly string[]) => Promise<void>
  /** Nothing is carried out: what would have to be ends in a NotBuiltError. */
  readonly onlyLooks: boolean
  /** Prefix of the ids of the stage's events. */
  readonly idPrefix: string
}

/** Something that nobody may make now is not there. */
export class NotBuiltError extends Error {
  override readonly name = 'NotBuiltError'
}

/** A step whose key is known. */
export interface KeyedStep {
  readonly step: BuildStep
  readonly id: string
  readonly key: StepKey
  readonly prepared: PreparedStep
  /** The result has no parent: it is laid over what is below. */
  readonly isLinked: boolean
}

/** A step whose result is there. */
export interface MadeStep {
  readonly keyed: KeyedStep
  readonly snapshot: Snapshot
  readonly record: StepRecord
}

/** A stage whose steps are prepared, and carried out when somebody needs its root. */
export interface StageRun {
  readonly stage: BuildStage
  /** False where every step is carried out, whatever was made before. */
  readonly usesCache: boolean
  /** What the stage starts from. @throws what finding its image throws */
  ground(): Promise<StageGround>
  /** The key of the final root. Once. @throws what preparing and, before an installation, performing throw */
  learnKeys(): Promise<Digest>
  /** The steps whose keys are known, in order. */
  readonly steps: readonly KeyedStep[]
  /** The steps whose results are there, in order. */
  readonly made: readonly MadeStep[]
  /** Tells the final root that is there from others under its key; undefined where it would have to be made. */
  rootResult(): Promise<string | undefined>
  /** True once a step of the stage, or of one below it, was carried out or unpacked, and not found. */
  hasWorked(): boolean
  /** Carries out what is not there yet. Once. @throws what performing throws */
  reach(): Promise<LazyTree>
  /** Shows every result as soon as it is there, and those that are already. One watcher. */
  watch(onMade: (step: MadeStep) => void): void
  /** The layers that the results are known as, once they are reached. */
  layerStack(): Promise<LayerStack>
  /** Tells that every step is there without looking: its result was found in another way. */
  tellAllCached(): void
  /** What became of each step; those that nobody looked for count as found. */
  records(): StepRecord[]
  /** Lets go of the results, which nobody could remove until now. */
  release(): void
}

/** Starts a stage; nothing is done before the first call. */
export function openStageRun(input: StageInput): StageRun {
  return new StageRunner(input)
}

class StageRunner implements StageRun {
  readonly stage: BuildStage
  readonly usesCache: boolean
  readonly steps: KeyedStep[] = []
  readonly made: MadeStep[] = []
  readonly ground: () => Promise<StageGround>
  readonly learnKeys: () => Promise<Digest>
  readonly reach: () => Promise<LazyTree>
  readonly #input: StageInput
  readonly #results: StepSnapshots
  readonly #base: BaseTeller
  readonly #holds: Disposable[] = []
  #rootKey: Digest
  #top: LazyTree = emptyTree
  #stageBelow: StageRun | undefined
  #onMade: ((step: MadeStep) => void) | undefined
  #hasToldAll = false
  #hasRestored = false
  #namesAreChecked: boolean

  constructor(input: StageInput) {
    const { stage, options, parts } = input
    this.stage = stage
    this.usesCache = options.useCache
    this.#input = input
    this.#results = stepSnapshots(parts.snapshotter, parts.dataRoot)
    this.#base = baseTeller(stage, input.idPrefix, input.onlyLooks ? ignoreEvents : options.emit)
    this.#rootKey = emptyRootKey(stage.platform)
    // Offline, an installation that was resolved before needs no lists, and they may be gone.
    this.#namesAreChecked = options.offline
    this.ground = once(input.ground)
    this.learnKeys = once(() => this.#learnKeys())
    this.reach = once(async () => {
      await this.learnKeys()
      await this.#reachKnown()
      this.#hasToldAll = true
      return this.#top
    })
  }

  async rootResult(): Promise<string | undefined> {
    await this.learnKeys()
    return await resultOf(this.steps, await this.ground(), this.#results)
  }

  hasWorked(): boolean {
    const hasCarriedOut = this.made.some(({ record }) => !record.cached)
    return hasCarriedOut || this.#hasRestored || this.#stageBelow?.hasWorked() === true
  }

  watch(onMade: (step: MadeStep) => void): void {
    this.#onMade = onMade
    for (const step of this.made) onMade(step)
  }

  async layerStack(): Promise<LayerStack> {
    await this.reach()
    return (await this.#input.restorer?.stackOf(await this.ground(), this.made)) ?? unknownStack
  }

  tellAllCached(): void {
    if (this.#hasToldAll) return
    this.#hasToldAll = true
    this.#base.tellCached()
    for (const keyed of this.steps.slice(this.made.length))
      tellCached(this.#input.options.emit, keyed)
  }

  records(): StepRecord[] {
    const unseen = this.steps.slice(this.made.length).map(({ step, key: { key } }): StepRecord => {
      const { title, kind, phase } = step
      return { title, kind, phase, key, snapshot: snapshotId(hexOf(key)), cached: true, seconds: 0 }
    })
    return [...this.made.map(({ record }) => record), ...unseen]
  }

  release(): void {
    for (const hold of this.#holds.splice(0)) hold[Symbol.dispose]()
  }

  async #learnKeys(): Promise<Digest> {
    const { stage } = this
    const { key, tree, stage: below } = await this.ground()
    this.#rootKey = key
    this.#top = this.#base.watch(tree)
    this.#stageBelow = below
    const isInRow = stage.steps.some(step => step.kind === 'install')
    const prepare = (step: BuildStep, index: number): Promise<PreparedStep | undefined> =>
      this.#prepare(step, index)
    const prepared = isInRow ? [] : await mapConcurrent(stage.steps, stage.steps.length, prepare)
    for (const [index, step] of stage.steps.entries()) {
      const one = isInRow ? await prepare(step, index) : prepared[index]
      if (one === undefined) throw new NotBuiltError(stage.id)
      this.#addKey(step, one)
    }
    return this.#rootKey
  }

  /** Undefined where the step reads what is not there and must not be made. */
  async #prepare(step: BuildStep, index: number): Promise<PreparedStep | undefined> {
    const { signal } = this.#input.options
    if (signal?.aborted) throw cancelled(signal)
    try {
      return await prepareStep(step, this.#contextOf(this.#idOf(index)))
    } catch (error) {
      if (error instanceof NotBuiltError) return undefined
      throw error
    }
  }

  #contextOf(stepId: string): StepContext {
    const { plan, stage, options, parts, roots, contexts } = this.#input
    const openPrevious = (): Promise<Rootfs | undefined> => this.#openPrevious()
    return { ...roots, contexts, plan, stage, options, tools: parts, stepId, openPrevious }
  }

  #idOf(index: number): string {
    return `${this.#input.idPrefix}step-${index + 1}`
  }

  #addKey(step: BuildStep, prepared: PreparedStep): void {
    const emptyKey = emptyRootKey(this.stage.platform)
    const isLinked = step.kind === 'add' && step.link
    const key = stepKey(isLinked ? emptyKey : this.#rootKey, step, prepared.reads)
    const isOver = isLinked && this.#rootKey !== emptyKey
    this.#rootKey = isOver ? linkedRootKey(this.#rootKey, key.key) : key.key
    this.steps.push({ step, id: this.#idOf(this.steps.length), key, prepared, isLinked })
  }

  async #openPrevious(): Promise<Rootfs | undefined> {
    await this.#reachKnown()
    const below = await this.#top.make()
    const { snapshotter } = this.#input.parts
    return below === undefined ? undefined : await snapshotter.prepare(below.id)
  }

  /** Makes the results of all steps that have keys. */
  async #reachKnown(): Promise<void> {
    const { parts, onlyLooks, reachStages } = this.#input
    const missing = this.steps.slice(this.made.length)
    const found = this.usesCache
      ? await findResults(missing, this.#top, { parts, results: this.#results })
      : []
    const lacking = missing.filter((_, at) => found[at] === undefined)
    if (onlyLooks && lacking.length > 0) throw new NotBuiltError(this.stage.id)
    if (lacking[0] !== missing[0] || missing.length === 0) this.#base.tellCached()
    const restorable = lacking.length > 0 && this.usesCache && this.#input.restorer !== undefined
    for (const [index, keyed] of missing.entries()) {
      const hit = found[index] ?? (restorable ? await this.#restore(keyed) : undefined)
      if (hit !== undefined) this.#keepFound(keyed, hit)
      else {
        await this.#checkNames()
        // All that are still to come at once: stages that do not need one another are made side by side.
        await reachStages(lacking.filter(one => !this.#isMade(one)).flatMap(stagesReadBy))
        const below = keyed.isLinked ? undefined : await this.#top.make()
        this.#keep(
          keyed,
          await carryOut(keyed, below, { input: this.#input, results: this.#results }),
        )
      }
    }
  }

  #isMade(keyed: KeyedStep): boolean {
    return this.made.some(one => one.keyed === keyed)
  }

  async #restore(keyed: KeyedStep): Promise<Snapshot | undefined> {
    const { restorer } = this.#input
    const known = await restorer?.find(
      keyed,
      await restorer.stackOf(await this.ground(), this.made),
    )
    if (restorer === undefined || known === undefined) return undefined
    this.#base.tellCached()
    this.#hasRestored = true
    return await restorer.restore(keyed, known, keyed.isLinked ? undefined : await this.#top.make())
  }

  #keepFound(keyed: KeyedStep, snapshot: Snapshot): void {
    if (!this.#input.onlyLooks && !this.#hasToldAll) tellCached(this.#input.options.emit, keyed)
    this.#keep(keyed, { snapshot, record: recordOf(keyed, { snapshot, cached: true, seconds: 0 }) })
  }

  #keep(keyed: KeyedStep, { snapshot, record }: CarriedOut): void {
    const { parts, options } = this.#input
    this.#holds.push(parts.snapshotter.hold(snapshot.id))
    const step = { keyed, snapshot, record }
    this.made.push(step)
    this.#onMade?.(step)
    this.#top = keyed.isLinked
      ? mergedTree(this.#top, snapshot, { snapshotter: parts.snapshotter, signal: options.signal })
      : presentTree(snapshot)
  }

  /** Before anything is carried out; what is prepared was found already. */
  async #checkNames(): Promise<void> {
    if (this.#namesAreChecked) return
    this.#namesAreChecked = true
    const coming = this.stage.steps.slice(this.steps.length)
    const installs = coming.filter(step => step.kind === 'install')
    await checkPackageNames(installs, this.#contextOf('check-names'))
  }
}

/** A result under a key may be made again with other content; when it was made tells one from the other. */
async function resultOf(
  steps: readonly KeyedStep[],
  ground: StageGround,
  results: StepSnapshots,
): Promise<string | undefined> {
  const lastWhole = steps.findLastIndex(({ isLinked }) => !isLinked)
  const parts: (string | undefined)[] = []
  if (lastWhole < 0)
    parts.push(ground.stage === undefined ? ground.key : await ground.stage.rootResult())
  for (const { key } of steps.slice(Math.max(lastWhole, 0))) {
    const snapshot = await results.find(key.key)
    parts.push(snapshot && `${snapshot.id}@${createdOf(snapshot) ?? ''}`)
  }
  return parts.includes(undefined) ? undefined : parts.join('+')
}

/** Ids of the stages whose roots a step reads from. */
function stagesReadBy({ step }: Pick<KeyedStep, 'step'>): string[] {
  const roots =
    step.kind === 'add'
      ? [step.from]
      : step.kind === 'run'
        ? (step.buildMounts ?? []).map(mount => ('from' in mount ? mount.from : undefined))
        : []
  return roots.flatMap(root => (root?.kind === 'stage' ? [root.stage] : []))
}

/** The same promise for every call. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let begun: Promise<T> | undefined
  return () => (begun ??= work())
}

// One stage on its way. Keys are computed forward; results are looked up from the last step backwards, so a build with
// nothing changed touches few snapshots. An installation onto a root with packages can be resolved only when that root is
// there, so the steps before it are carried out before its key is known; all other steps learn side by side what they
// read.

import { mapConcurrent, type Slots } from '../core/concurrency.ts'
import { cancelled } from '../core/process.ts'
import { type Digest, hexOf } from '../oci/digest.ts'
import type { BuildPlan, BuildStage, BuildStep } from '../plan/plan.ts'
import { type Rootfs, type Snapshot, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { BuildOptions, StepRecord } from './build.ts'
import type { BuildContexts } from './build-contexts.ts'
import { findResults } from './find-results.ts'
import { emptyTree, type LazyTree, mergedTree, presentTree } from './lazy-tree.ts'
import { carryOut, recordOf, tellCached } from './perform-step.ts'
import type { StageGround } from './stage-ground.ts'
import { emptyRootKey, linkedRootKey, type StepKey, stepKey } from './step-key.ts'
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
  /** The key of the final root. Once. @throws what preparing and, before an installation, performing throw */
  learnKeys(): Promise<Digest>
  /** The steps whose keys are known, in order. */
  readonly steps: readonly KeyedStep[]
  /** The steps whose results are there, in order. */
  readonly made: readonly MadeStep[]
  /** Tells the final root that is there from others under its key; undefined where it would have to be made. */
  rootResult(): Promise<string | undefined>
  /** True once a step of the stage, or of one below it, was carried out and not found. */
  hasWorked(): boolean
  /** Carries out what is not there yet. Once. @throws what performing throws */
  reach(): Promise<LazyTree>
  /** Tells that every step is there without looking: its result was found in another way. */
  tellAllCached(): void
  /** What became of each step; those that nobody looked for count as found. */
  records(): StepRecord[]
}

/** Starts a stage; nothing is done before the first call. */
export function openStageRun(input: StageInput): StageRun {
  const { plan, stage, options, parts } = input
  const results = stepSnapshots(parts.snapshotter, parts.dataRoot)
  const steps: KeyedStep[] = []
  const made: MadeStep[] = []
  const ground = once(input.ground)
  let keyOfRoot = emptyRootKey(stage.platform)
  let top: LazyTree = emptyTree
  let stageBelow: StageRun | undefined
  let hasToldAll = false

  // Offline, an installation that was resolved before needs no lists, and they may be gone.
  let namesAreChecked = options.offline
  /** Before anything is carried out; what is prepared was found already. */
  async function checkNames(): Promise<void> {
    if (namesAreChecked) return
    namesAreChecked = true
    const installs = stage.steps.slice(steps.length).filter(step => step.kind === 'install')
    const context = {
      ...input.roots,
      contexts: input.contexts,
      plan,
      stage,
      options,
      tools: parts,
      stepId: 'check-names',
    }
    await checkPackageNames(installs, context)
  }

  /** Makes the results of all steps that have keys. */
  async function reachKnown(): Promise<void> {
    const missing = steps.slice(made.length)
    const found = options.useCache ? await findResults(missing, top, { parts, results }) : []
    const lacking = missing.filter((_, at) => found[at] === undefined)
    if (input.onlyLooks && lacking.length > 0) throw new NotBuiltError(stage.id)
    await input.reachStages(lacking.flatMap(stagesReadBy))
    for (const [index, keyed] of missing.entries()) {
      const hit = found[index]
      if (hit === undefined) await checkNames()
      else if (!input.onlyLooks) tellCached(options.emit, keyed)
      const outcome =
        hit === undefined
          ? await carryOut(keyed, keyed.isLinked ? undefined : await top.make(), { input, results })
          : { snapshot: hit, record: recordOf(keyed, { snapshot: hit, cached: true, seconds: 0 }) }
      made.push({ keyed, ...outcome })
      top = treeAfter(top, keyed, outcome.snapshot)
    }
  }

  const treeAfter = (below: LazyTree, keyed: KeyedStep, snapshot: Snapshot): LazyTree =>
    keyed.isLinked
      ? mergedTree(below, snapshot, { snapshotter: parts.snapshotter, signal: options.signal })
      : presentTree(snapshot)

  const openPrevious = async (): Promise<Rootfs | undefined> => {
    await reachKnown()
    const below = await top.make()
    return below === undefined ? undefined : await parts.snapshotter.prepare(below.id)
  }

  /** Undefined where the step reads what is not there and must not be made. */
  async function prepare(step: BuildStep, index: number): Promise<PreparedStep | undefined> {
    if (options.signal?.aborted) throw cancelled(options.signal)
    const context: StepContext = {
      ...input.roots,
      contexts: input.contexts,
      plan,
      stage,
      options,
      tools: parts,
      stepId: idOf(index),
      openPrevious,
    }
    try {
      return await prepareStep(step, context)
    } catch (error) {
      if (error instanceof NotBuiltError) return undefined
      throw error
    }
  }
  const idOf = (index: number): string => `${input.idPrefix}step-${index + 1}`

  function addKey(step: BuildStep, prepared: PreparedStep): void {
    const isLinked = step.kind === 'add' && step.link
    const before = isLinked ? emptyRootKey(stage.platform) : keyOfRoot
    const key = stepKey(before, step, prepared.reads)
    const isAlone = keyOfRoot === emptyRootKey(stage.platform)
    keyOfRoot = isLinked && !isAlone ? linkedRootKey(keyOfRoot, key.key) : key.key
    steps.push({ step, id: idOf(steps.length), key, prepared, isLinked })
  }

  const learnKeys = async (): Promise<Digest> => {
    const { key, tree, stage: below } = await ground()
    keyOfRoot = key
    top = tree
    stageBelow = below
    const isInRow = stage.steps.some(step => step.kind === 'install')
    const prepared = isInRow ? [] : await mapConcurrent(stage.steps, stage.steps.length, prepare)
    for (const [index, step] of stage.steps.entries()) {
      const one = isInRow ? await prepare(step, index) : prepared[index]
      if (one === undefined) throw new NotBuiltError(stage.id)
      addKey(step, one)
    }
    return keyOfRoot
  }

  const learnt = once(learnKeys)
  const reached = once(async (): Promise<LazyTree> => {
    await learnt()
    await reachKnown()
    hasToldAll = true
    return top
  })
  return {
    stage,
    usesCache: options.useCache,
    steps,
    made,
    learnKeys: learnt,
    reach: reached,
    async rootResult() {
      await learnt()
      return await resultOf(steps, await ground(), results)
    },
    hasWorked: () => made.some(({ record }) => !record.cached) || stageBelow?.hasWorked() === true,
    tellAllCached() {
      if (hasToldAll) return
      hasToldAll = true
      for (const keyed of steps.slice(made.length)) tellCached(options.emit, keyed)
    },
    records: () => [
      ...made.map(({ record }) => record),
      ...steps.slice(made.length).map(({ step: { title, kind, phase }, key: { key } }) => {
        const snapshot = snapshotId(hexOf(key))
        return { title, kind, phase, key, snapshot, cached: true, seconds: 0 }
      }),
    ],
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
export function stagesReadBy({ step }: Pick<KeyedStep, 'step'>): string[] {
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

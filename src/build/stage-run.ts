// One stage on its way. Keys are computed forward; results are looked up from the last step backwards, so a build with
// nothing changed touches one snapshot. An installation onto a root with packages can be resolved only when that root is
// there, so the steps before it are carried out before its key is known.

import path from 'node:path'
import { type Emit, inStep } from '../core/events.ts'
import { cancelled } from '../core/process.ts'
import { type FileLock, lockFile, tryLockFile } from '../native/file-lock.ts'
import { hexOf } from '../oci/digest.ts'
import type { BuildPlan, BuildStage, BuildStep } from '../plan/plan.ts'
import { type Rootfs, type Snapshot, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import type { BuildOptions, BuiltRoot, StepRecord } from './build.ts'
import { explainFullDisk } from './disk-full.ts'
import { emptyRootKey, type StepKey, stepKey } from './step-key.ts'
import { newestFileSecondsOf, type StepSnapshots, stepSnapshots } from './step-snapshots.ts'
import { checkPackageNames } from './steps/install-step.ts'
import { prepareStep } from './steps/prepare-step.ts'
import type { PreparedStep, StepTools } from './steps/step.ts'

/** What an executor works with. */
export interface ExecutorParts extends StepTools {
  readonly snapshotter: Snapshotter
}

export interface StageInput {
  readonly plan: BuildPlan
  readonly stage: BuildStage
  readonly options: BuildOptions
  readonly parts: ExecutorParts
}

/** A stage whose steps are prepared one after the other. */
export interface StageRun {
  /** Learns the key of the next step. @throws what preparing and, before an installation, performing throw */
  prepare(step: BuildStep): Promise<void>
  /** Carries out what is not there yet. @throws what performing throws */
  finish(): Promise<BuiltRoot>
}

interface KeyedStep {
  readonly step: BuildStep
  readonly id: string
  readonly key: StepKey
  readonly prepared: PreparedStep
}

/** Starts a stage; nothing is done before the first call. */
export function openStageRun(input: StageInput): StageRun {
  const { plan, stage, options, parts } = input
  const results = stepSnapshots(parts.snapshotter, parts.dataRoot)
  const steps: KeyedStep[] = []
  const records: StepRecord[] = []
  let top: Snapshot | undefined

  // Offline, an installation that was resolved before needs no lists, and they may be gone.
  let namesAreChecked = options.offline
  /** Before anything is carried out; what is prepared was found already. */
  async function checkNames(): Promise<void> {
    if (namesAreChecked) return
    namesAreChecked = true
    const installs = stage.steps.slice(steps.length).filter(step => step.kind === 'install')
    await checkPackageNames(installs, { plan, stage, options, tools: parts, stepId: 'check-names' })
  }

  /** Makes the results of all steps that have keys. */
  async function reach(): Promise<void> {
    const missing = steps.slice(records.length)
    const hit = options.useCache ? await deepestResult(results, missing) : undefined
    if (hit !== undefined) {
      records.push(...(await recordCached(input, missing.slice(0, hit.count), hit.snapshot)))
      top = hit.snapshot
    }
    if (records.length < steps.length) await checkNames()
    for (const keyed of missing.slice(hit?.count ?? 0)) {
      const { snapshot, record } = await carryOut(keyed, top, { input, results })
      records.push(record)
      top = snapshot
    }
  }

  return {
    async prepare(step) {
      if (options.signal?.aborted) throw cancelled(options.signal)
      const stepId = `step-${steps.length + 1}`
      const previous = steps.at(-1)?.key.key ?? emptyRootKey(stage.platform)
      const openPrevious = async (): Promise<Rootfs | undefined> => {
        await reach()
        return top === undefined ? undefined : await parts.snapshotter.prepare(top.id)
      }
      const context = { plan, stage, options, tools: parts, stepId, openPrevious }
      const prepared = await prepareStep(step, context)
      steps.push({ step, id: stepId, key: stepKey(previous, step, prepared.reads), prepared })
    },
    async finish() {
      await reach()
      top ??= await keepEmptyRoot(parts.snapshotter, stage)
      return { snapshot: top.id, steps: records, newestFileSeconds: newestFileSecondsOf(top) }
    },
  }
}

/** The last of the steps whose result is there; lower results are not looked at. */
async function deepestResult(
  results: StepSnapshots,
  steps: readonly KeyedStep[],
): Promise<{ readonly snapshot: Snapshot; readonly count: number } | undefined> {
  for (let count = steps.length; count > 0; count--) {
    const keyed = steps[count - 1]
    const snapshot = keyed === undefined ? undefined : await results.find(keyed.key.key)
    if (snapshot !== undefined) return { snapshot, count }
  }
  return undefined
}

/** Tells and records the steps up to a hit. Each snapshot knows the one it stands on, which is the step before's. */
async function recordCached(
  { options, parts }: StageInput,
  steps: readonly KeyedStep[],
  hit: Snapshot,
): Promise<StepRecord[]> {
  const records: StepRecord[] = []
  let snapshot: Snapshot | undefined = hit
  for (const keyed of steps.toReversed()) {
    const id = snapshot?.id ?? snapshotId(hexOf(keyed.key.key))
    records.unshift(recordOf(keyed, { snapshot: id, cached: true, seconds: 0 }))
    snapshot =
      snapshot?.parent === undefined
        ? undefined
        : await parts.snapshotter.findSnapshot(snapshot.parent)
  }
  for (const { id, step } of steps) tellCached(options.emit, id, step.title)
  return records
}

function tellCached(emit: Emit, id: string, title: string): void {
  emit({ kind: 'step-started', id, title })
  emit({ kind: 'step-cached', id })
}

function recordOf(
  { step, key }: KeyedStep,
  outcome: Pick<StepRecord, 'snapshot' | 'cached' | 'seconds'>,
): StepRecord {
  return { title: step.title, kind: step.kind, phase: step.phase, key: key.key, ...outcome }
}

interface CarryOutContext {
  readonly input: StageInput
  readonly results: StepSnapshots
}

/** Performs a step, unless somebody else made the same result meanwhile: equal steps of several processes run once. */
async function carryOut(
  keyed: KeyedStep,
  below: Snapshot | undefined,
  { input, results }: CarryOutContext,
): Promise<{ readonly snapshot: Snapshot; readonly record: StepRecord }> {
  const { options } = input
  const startedMs = performance.now()
  const { id, step, key } = keyed
  // A run without the cache makes a result of its own, beside those of others.
  using lock = options.useCache ? await lockStep(keyed, input) : undefined
  const there = lock === undefined ? undefined : await results.find(key.key)
  if (there !== undefined) {
    tellCached(options.emit, id, step.title)
    const record = recordOf(keyed, { snapshot: there.id, cached: true, seconds: 0 })
    return { snapshot: there, record }
  }
  const snapshot = await inStep(options.emit, { id, title: step.title }, () =>
    perform(keyed, below, { input, results }),
  )
  const seconds = (performance.now() - startedMs) / 1000
  return { snapshot, record: recordOf(keyed, { snapshot: snapshot.id, cached: false, seconds }) }
}

async function lockStep({ key, step }: KeyedStep, input: StageInput): Promise<FileLock> {
  const { options, parts } = input
  const file = path.join(parts.dataRoot, 'locks', 'steps', hexOf(key.key))
  const free = tryLockFile(file, 'exclusive')
  if (free !== undefined) return removedAtEnd(free)
  const message = `another kauri is at work on "${step.title}"; waiting for its result`
  options.emit({ kind: 'warning', message })
  return removedAtEnd(await lockFile(file, 'exclusive', options.signal))
}

/** A step's key is locked once in its life, as a rule: the file goes with the lock. */
function removedAtEnd(lock: FileLock): FileLock {
  return { ...lock, [Symbol.dispose]: () => lock.removeAndRelease() }
}

async function perform(
  { key, prepared, step }: KeyedStep,
  below: Snapshot | undefined,
  { input, results }: CarryOutContext,
): Promise<Snapshot> {
  const { options, parts } = input
  const before = newestFileSecondsOf(below)
  await using root = await parts.snapshotter.prepare(below?.id)
  try {
    const outcome = await prepared.perform({ root, newestFileSeconds: before })
    if (options.signal?.aborted) throw cancelled(options.signal)
    const newestFileSeconds = Math.max(before, outcome.newestFileSeconds)
    return await results.keep(
      root,
      { title: step.title, key, newestFileSeconds },
      !options.useCache,
    )
  } catch (error) {
    if (options.signal?.aborted) throw cancelled(options.signal)
    // Before the tree is thrown away, which frees the space.
    throw await explainFullDisk(error, parts.dataRoot)
  }
}

async function keepEmptyRoot(snapshotter: Snapshotter, stage: BuildStage): Promise<Snapshot> {
  const id = snapshotId(hexOf(emptyRootKey(stage.platform)))
  await using root = await snapshotter.prepare(undefined)
  return (await snapshotter.findSnapshot(id)) ?? (await snapshotter.commit(root, id))
}

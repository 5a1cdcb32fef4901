// Carries a step out: on a writable copy of the tree before it, under a lock of its key, so that equal steps of several
// builds run once. A failure leaves nothing behind.

import path from 'node:path'
import { type Emit, inStep } from '../core/events.ts'
import { cancelled } from '../core/process.ts'
import { type FileLock, lockFile, tryLockFile } from '../native/file-lock.ts'
import { hexOf } from '../oci/digest.ts'
import type { Snapshot } from '../rootfs/rootfs.ts'
import type { StepRecord } from './build.ts'
import { explainFullDisk } from './disk-full.ts'
import type { KeyedStep, StageInput } from './stage-run.ts'
import { createdOf, newestFileSecondsOf, type StepSnapshots } from './step-snapshots.ts'

export interface CarryOutContext {
  readonly input: StageInput
  readonly results: StepSnapshots
}

export interface CarriedOut {
  readonly snapshot: Snapshot
  readonly record: StepRecord
}

/** Performs a step on the tree `below`, unless somebody else made the same result meanwhile. @throws what performing throws */
export async function carryOut(
  keyed: KeyedStep,
  below: Snapshot | undefined,
  context: CarryOutContext,
): Promise<CarriedOut> {
  const { input, results } = context
  const { options } = input
  // A run without the cache makes a result of its own, beside those of others.
  using lock = options.useCache ? await lockStep(keyed, input) : undefined
  const there = lock === undefined ? undefined : await results.find(keyed.key.key)
  // What stands on another tree was made from a result that is not this build's.
  if (there !== undefined && there.parent === below?.id) {
    tellCached(options.emit, keyed)
    return {
      snapshot: there,
      record: recordOf(keyed, { snapshot: there, cached: true, seconds: 0 }),
    }
  }
  return await input.slots.run(async () => {
    const startedMs = performance.now()
    const snapshot = await inStep(options.emit, { id: keyed.id, title: keyed.step.title }, () =>
      perform(keyed, below, { ...context, isBeside: !options.useCache || there !== undefined }),
    )
    const seconds = (performance.now() - startedMs) / 1000
    return { snapshot, record: recordOf(keyed, { snapshot, cached: false, seconds }) }
  }, options.signal)
}

/** Tells that a step's result was found. */
export function tellCached(emit: Emit, { id, step }: Pick<KeyedStep, 'id' | 'step'>): void {
  emit({ kind: 'step-started', id, title: step.title })
  emit({ kind: 'step-cached', id })
}

/** What is said of a step whose result is there. */
export function recordOf(
  { step, key }: KeyedStep,
  outcome: { readonly snapshot: Snapshot; readonly cached: boolean; readonly seconds: number },
): StepRecord {
  const { title, kind, phase } = step
  const { snapshot, cached, seconds } = outcome
  const created = createdOf(snapshot)
  return { title, kind, phase, key: key.key, snapshot: snapshot.id, cached, seconds, created }
}

async function lockStep({ key, step }: KeyedStep, input: StageInput): Promise<FileLock> {
  const { options, parts } = input
  const file = path.join(parts.dataRoot, 'locks', 'steps', hexOf(key.key))
  const free = tryLockFile(file, 'exclusive')
  if (free !== undefined) return removedAtEnd(free)
  const message = `"${step.title}" is being built already; waiting for its result`
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
  { input, results, isBeside }: CarryOutContext & { readonly isBeside: boolean },
): Promise<Snapshot> {
  const { options, parts } = input
  const before = newestFileSecondsOf(below)
  await using root = await parts.snapshotter.prepare(below?.id, { signal: options.signal })
  try {
    const outcome = await prepared.perform({ root, newestFileSeconds: before })
    if (options.signal?.aborted) throw cancelled(options.signal)
    const newestFileSeconds = Math.max(before, outcome.newestFileSeconds)
    const created = new Date().toISOString()
    const facts = { title: step.title, key, newestFileSeconds, created }
    return await results.keep(root, facts, isBeside)
  } catch (error) {
    if (options.signal?.aborted) throw cancelled(options.signal)
    // Before the tree is thrown away, which frees the space.
    throw await explainFullDisk(error, parts.dataRoot)
  }
}

// Finds and keeps the results of steps. A result's snapshot is named by the step's key; where a step ran again without
// the cache, the new result stands beside the old one, which others may use, and a record under the key names it.

import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { type Digest, digestOf, hexOf } from '../oci/digest.ts'
import { type Rootfs, type Snapshot, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import type { StepKey } from './step-key.ts'

/** What a snapshot says about the step that made it. */
export interface StepFacts {
  readonly title: string
  readonly key: StepKey
  /** Newest time that the files of all packages up to this step carry, in seconds since 1970; 0 without packages. */
  readonly newestFileSeconds: number
}

export interface StepSnapshots {
  /** The result of a step, or undefined; marks it as used. */
  find(key: Digest): Promise<Snapshot | undefined>
  /** Keeps a tree as the result of a step; `fresh` beside an older one, in its place from now on. */
  keep(root: Rootfs, facts: StepFacts, fresh: boolean): Promise<Snapshot>
}

/** Results in a snapshotter, records below `<dataRoot>/cache/steps`. */
export function stepSnapshots(snapshotter: Snapshotter, dataRoot: string): StepSnapshots {
  const recordOf = (key: Digest): string => path.join(dataRoot, 'cache', 'steps', hexOf(key))
  return {
    async find(key) {
      const named = (await readTextIfThere(recordOf(key)))?.trim()
      const fresh =
        named === undefined ? undefined : await snapshotter.findSnapshot(snapshotId(named))
      return fresh ?? (await snapshotter.findSnapshot(snapshotId(hexOf(key))))
    },
    async keep(root, facts, fresh) {
      const { key } = facts.key
      if (!fresh) return await snapshotter.commit(root, snapshotId(hexOf(key)), labelsOf(facts))
      const id = snapshotId(hexOf(digestOf(`${key} ${randomUUID()}`)))
      const snapshot = await snapshotter.commit(root, id, labelsOf(facts))
      await writeCacheRecord(recordOf(key), `${id}\n`, 0o600)
      return snapshot
    },
  }
}

const labels = {
  title: 'kauri.step.title',
  previous: 'kauri.step.previous',
  does: 'kauri.step.does',
  reads: 'kauri.step.reads',
  newestFileSeconds: 'kauri.newest-file-seconds',
} as const

function labelsOf({ title, key, newestFileSeconds }: StepFacts): Record<string, string> {
  return {
    [labels.title]: title,
    [labels.previous]: key.previous,
    [labels.does]: key.does,
    [labels.reads]: key.reads,
    [labels.newestFileSeconds]: String(newestFileSeconds),
  }
}

/** What the maker of a snapshot found as the newest time of its packages' files; 0 where nothing is said. */
export function newestFileSecondsOf(snapshot: Snapshot | undefined): number {
  const seconds = Number(snapshot?.labels[labels.newestFileSeconds] ?? 0)
  return Number.isSafeInteger(seconds) ? seconds : 0
}

/** Why a step has no result yet, told from the results that other runs of a step with its title left. */
export type MissReason = 'never-run' | 'step-changed' | 'inputs-changed' | 'step-before-changed'

/** Compares with every kept result; the nearest one decides. */
export function explainMiss(
  title: string,
  key: StepKey,
  snapshots: readonly Snapshot[],
): MissReason {
  const others = snapshots.map(snapshot => snapshot.labels).filter(of => of[labels.title] === title)
  const isSame = (of: Snapshot['labels'], part: 'previous' | 'does' | 'reads'): boolean =>
    of[labels[part]] === key[part]
  if (others.some(of => isSame(of, 'previous') && isSame(of, 'does'))) return 'inputs-changed'
  if (others.some(of => isSame(of, 'previous'))) return 'step-changed'
  return others.length === 0 ? 'never-run' : 'step-before-changed'
}

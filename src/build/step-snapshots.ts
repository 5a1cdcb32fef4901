// Finds and keeps the results of steps. A result's snapshot is named by the step's key; where a step ran again without
// the cache, the new result stands beside the old one, which others may use, and a record under the key names it.

import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { type Digest, digestOf, hexOf } from '../oci/digest.ts'
import {
  type Rootfs,
  type Snapshot,
  type SnapshotId,
  type Snapshotter,
  snapshotId,
} from '../rootfs/rootfs.ts'
import type { StepKey } from './step-key.ts'

/** What a snapshot says about the step that made it. */
export interface StepFacts {
  readonly title: string
  readonly key: StepKey
  /** Newest time that the files of all packages up to this step carry, in seconds since 1970; 0 without packages. */
  readonly newestFileSeconds: number
  /** When the result was made first (RFC 3339): now, or what the cache that it came from says. */
  readonly created: string
}

export interface StepSnapshots {
  /** What `find` would look at first; tells one result of a key from another without asking whether it is there. */
  nameOf(key: Digest): Promise<SnapshotId>
  /** The result of a step, or undefined; marks it as used. */
  find(key: Digest): Promise<Snapshot | undefined>
  /** Keeps a tree as the result of a step; `fresh` beside an older one, in its place from now on. */
  keep(root: Rootfs, facts: StepFacts, fresh: boolean): Promise<Snapshot>
}

/** Results in a snapshotter, records below `<dataRoot>/cache/steps`. */
export function stepSnapshots(snapshotter: Snapshotter, dataRoot: string): StepSnapshots {
  const recordOf = (key: Digest): string => path.join(dataRoot, 'cache', 'steps', hexOf(key))
  const nameOf = async (key: Digest): Promise<SnapshotId> => {
    const named = (await readTextIfThere(recordOf(key)))?.trim()
    return snapshotId(named ?? hexOf(key))
  }
  return {
    nameOf,
    async find(key) {
      const name = await nameOf(key)
      const plainName = snapshotId(hexOf(key))
      const named = await snapshotter.findSnapshot(name)
      if (named !== undefined || name === plainName) return named
      return await snapshotter.findSnapshot(plainName)
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
  created: 'kauri.step.created',
} as const

function labelsOf({ title, key, newestFileSeconds, created }: StepFacts): Record<string, string> {
  return {
    [labels.title]: title,
    [labels.previous]: key.previous,
    [labels.does]: key.does,
    [labels.reads]: key.reads,
    [labels.newestFileSeconds]: String(newestFileSeconds),
    [labels.created]: created,
  }
}

/** When a step's result was made; undefined where its snapshot does not say. */
export function createdOf(snapshot: Snapshot): string | undefined {
  return snapshot.labels[labels.created]
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

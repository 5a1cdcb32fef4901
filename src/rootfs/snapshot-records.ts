// Snapshots as directories: `<directory>/<id>/{fs,meta.json,settled}`. A record is read only as part of its whole chain,
// so a snapshot whose parent went away counts as absent and can be made again. Calls are synchronous: they read a few
// hundred bytes, and promises would cost a start of a container more than the reading.

import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import { type Snapshot, type SnapshotId, snapshotId } from './rootfs.ts'

const recordFile = 'meta.json'
/** More than any image has; ends a chain that bites its own tail. */
const maxChain = 10_000
const idForm = /^[0-9a-f]{8,128}$/

/** The tree of a snapshot, or its upper directory. */
export function treeOf(directory: string, id: SnapshotId): string {
  return path.join(directory, id, 'fs')
}

/** The snapshot where it and all it stands on are there; marks it as used now. */
export function findRecord(directory: string, id: SnapshotId): Snapshot | undefined {
  const chain = readChain(directory, id)
  if (chain === undefined) return undefined
  const now = new Date()
  utimesSync(path.join(directory, id, recordFile), now, now)
  return chain[0]
}

/** The snapshot and all below it, topmost first. @throws SNAPSHOT_INVALID where one is missing */
export function getChain(directory: string, id: SnapshotId): readonly Snapshot[] {
  const chain = readChain(directory, id)
  if (chain === undefined)
    throw new KauriError('SNAPSHOT_INVALID', `the snapshot ${id} is not there, or not whole`, {
      hint: 'run the command again; what is missing is then made anew',
    })
  return chain
}

/** Every snapshot, whole or not, with the time it was last used in milliseconds since 1970. */
export function listRecords(directory: string): (Snapshot & { readonly usedMs: number })[] {
  return snapshotNames(directory).flatMap(id => {
    const record = readRecord(directory, id)
    if (record === undefined) return []
    const usedMs = statSync(path.join(directory, id, recordFile), {
      throwIfNoEntry: false,
    })?.mtimeMs
    return usedMs === undefined ? [] : [{ ...record, usedMs }]
  })
}

/** When a snapshot got its record, in milliseconds since 1970; 0 where it is gone. */
export function committedMs(directory: string, id: SnapshotId): number {
  // The other times of the file tell of its use.
  const stat = statSync(path.join(directory, id, recordFile), { throwIfNoEntry: false })
  return stat?.birthtimeMs ?? 0
}

/** Names of the snapshot directories, sorted. */
export function snapshotNames(directory: string): SnapshotId[] {
  return readdirSync(directory)
    .filter(name => idForm.test(name))
    .toSorted()
    .map(snapshotId)
}

/** Writes the record of a tree that becomes a snapshot; `tree` is the directory that is then renamed. */
export function writeRecord(tree: string, { parent, labels }: Omit<Snapshot, 'id'>): void {
  writeFileSync(path.join(tree, recordFile), JSON.stringify({ parent: parent ?? null, labels }))
}

function readChain(directory: string, id: SnapshotId): Snapshot[] | undefined {
  const chain: Snapshot[] = []
  for (let next: SnapshotId | undefined = id; next !== undefined; next = chain.at(-1)?.parent) {
    const record = readRecord(directory, next)
    if (record === undefined || chain.length > maxChain) return undefined
    chain.push(record)
  }
  return chain
}

function readRecord(directory: string, id: SnapshotId): Snapshot | undefined {
  const text = readTextSync(path.join(directory, id, recordFile))
  try {
    return text === undefined ? undefined : parseRecord(id, text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Undefined for a record that a loss of power cut short. */
function parseRecord(id: SnapshotId, text: string): Snapshot | undefined {
  const record: unknown = JSON.parse(text)
  if (typeof record !== 'object' || record === null) return undefined
  if (!('parent' in record && 'labels' in record)) return undefined
  const { parent, labels } = record
  if (typeof labels !== 'object' || labels === null) return undefined
  if (parent !== null && (typeof parent !== 'string' || !idForm.test(parent))) return undefined
  return {
    id,
    parent: parent === null ? undefined : snapshotId(parent),
    labels: Object.fromEntries(
      Object.entries(labels).map(([name, value]) => [name, String(value)]),
    ),
  }
}

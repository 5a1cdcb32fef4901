// Which copy of a place of a context is the newest, and what is in it: one file for each place.

import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../../core/atomic-file.ts'
import { canonicalJson } from '../../core/canonical-json.ts'
import { KauriError } from '../../core/errors.ts'
import { digestOf, hexOf } from '../../oci/digest.ts'
import type { GuestPath } from '../../plan/plan.ts'
import { type SnapshotId, snapshotId } from '../../rootfs/rootfs.ts'
import type { ContextListing } from './context-listing.ts'

export interface CopyRecord {
  readonly id: SnapshotId
  /** Empty where the copy cannot be updated. */
  readonly entries: ContextListing
}

export interface CopyRecords {
  /** Undefined where there is none, or none that is whole. */
  find(): Promise<CopyRecord | undefined>
  /** @throws DISK_FULL */
  write(record: CopyRecord): Promise<void>
}

/** The record of a place in the host directory `directory`. */
export function copyRecords(dataRoot: string, directory: string, source: GuestPath): CopyRecords {
  const name = hexOf(digestOf(canonicalJson({ directory, source })))
  const file = path.join(dataRoot, 'cache', 'mounted-copies', name)
  return {
    async find() {
      const text = await readTextIfThere(file)
      return text === undefined ? undefined : parseRecord(text)
    },
    async write({ id, entries }) {
      await writeCacheRecord(file, JSON.stringify({ id, entries: [...entries] }), 0o600)
    },
  }
}

function parseRecord(text: string): CopyRecord | undefined {
  try {
    const { id, entries } = JSON.parse(text) as { readonly id: unknown; readonly entries: unknown }
    if (typeof id !== 'string' || !Array.isArray(entries) || !entries.every(isEntry))
      return undefined
    return { id: snapshotId(id), entries: new Map(entries) }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof KauriError || error instanceof TypeError)
      return undefined
    throw error
  }
}

function isEntry(value: unknown): value is [string, string] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    typeof value[1] === 'string'
  )
}

// What the last build left in a target directory, so that a build with nothing changed does not write it again. The files
// are recognised by name, size, time and inode: whoever touched one gets a new one.

import { statSync } from 'node:fs'
import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { canonicalJson, type Json } from '../core/canonical-json.ts'
import { digestOf, hexOf } from '../oci/digest.ts'
import type { ResultFile } from './result-files.ts'

export interface ResultRecords {
  /** The files of an earlier build from the same inputs, where all of them are as that build left them. */
  find(inputs: Json): Promise<ResultFile[] | undefined>
  remember(inputs: Json, files: readonly ResultFile[]): Promise<void>
}

interface ResultRecord {
  readonly inputs: string
  readonly files: readonly (ResultFile & { readonly identity: string })[]
}

/** Records below `<dataRoot>/cache/results`, one for each image name in each target directory. */
export function resultRecords(
  dataRoot: string,
  directory: string,
  baseName: string,
): ResultRecords {
  const name = hexOf(digestOf(canonicalJson([path.resolve(directory), baseName])))
  const recordFile = path.join(dataRoot, 'cache', 'results', `${name}.json`)
  return {
    async find(inputs) {
      const record = parseRecord(await readTextIfThere(recordFile))
      if (record?.inputs !== digestOf(canonicalJson(inputs))) return undefined
      if (!record.files.every(file => identityOf(file.path) === file.identity)) return undefined
      return record.files.map(({ key, path: file, sizeBytes }) => ({ key, path: file, sizeBytes }))
    },
    async remember(inputs, files) {
      const record: ResultRecord = {
        inputs: digestOf(canonicalJson(inputs)),
        files: files.map(file => ({ ...file, identity: identityOf(file.path) ?? '' })),
      }
      await writeCacheRecord(recordFile, JSON.stringify(record), 0o600)
    },
  }
}

/** kauri's own file, written atomically; what is not whole counts as missing. */
function parseRecord(text: string | undefined): ResultRecord | undefined {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text) as ResultRecord
  } catch {
    return undefined
  }
}

function identityOf(file: string): string | undefined {
  const stats = statSync(file, { throwIfNoEntry: false, bigint: true })
  return stats === undefined
    ? undefined
    : `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`
}

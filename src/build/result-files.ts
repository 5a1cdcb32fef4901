// The files that a build leaves in the target directory, named as KIWI names them: the image, the reports about its
// packages, and kiwi.result.json, which lists them. Each is written beside its place and renamed; those of the build
// before are replaced together, when all is there.

import { createWriteStream, renameSync, rmSync, statSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { asDiskFull, sweepTemporaries, temporaryBeside } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { PackageReports } from './package-reports.ts'

/** KIWI's names for what a result file is. */
export type ResultKey =
  | 'container'
  | 'root_archive'
  | 'image_packages'
  | 'image_changes'
  | 'image_verified'

export interface ResultFile {
  readonly key: ResultKey
  /** Absolute. */
  readonly path: string
  readonly sizeBytes: number
}

/** Files on their way. Disposing it before `publish` removes them; idempotent. */
export interface ResultSet extends Disposable {
  /** Where to write a file that will have this name. */
  temporaryFor(key: ResultKey, name: string): string
  /** Gives every file its name, and writes kiwi.result.json. */
  publish(): Promise<ResultFile[]>
}

interface PendingFile {
  readonly key: ResultKey
  readonly temporary: string
  readonly final: string
}

/** Makes the directory for results where it is missing. @throws USAGE where something else is in its place */
export async function makeResultDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true })
  } catch (error) {
    if (!hasErrno(error, 'EEXIST', 'ENOTDIR', 'EROFS', 'EACCES')) throw asDiskFull(error, directory)
    throw new KauriError('USAGE', `${directory} cannot be made as a directory`, {
      hint: 'name another target directory',
      cause: error,
    })
  }
}

/** Begins a set in a directory; removes what killed builds left there. */
export function openResultSet(directory: string): ResultSet {
  const listFile = path.join(directory, 'kiwi.result.json')
  sweepTemporaries(listFile)
  const pending: PendingFile[] = []
  return {
    temporaryFor(key, name) {
      const final = path.join(directory, name)
      const temporary = temporaryBeside(final)
      pending.push({ key, temporary, final })
      return temporary
    },
    async publish() {
      const list = temporaryBeside(listFile)
      try {
        await writeFile(list, resultList(pending))
        for (const { temporary, final } of pending) renameSync(temporary, final)
        renameSync(list, listFile)
      } catch (error) {
        rmSync(list, { force: true })
        throw asDiskFull(error, directory)
      }
      return pending.map(({ key, final }) => ({
        key,
        path: final,
        sizeBytes: statSync(final).size,
      }))
    },
    [Symbol.dispose]() {
      for (const { temporary } of pending) rmSync(temporary, { force: true })
    },
  }
}

/** As KIWI's kiwi.result.json: what bundling does with each file. */
function resultList(files: readonly PendingFile[]): string {
  const entries = files
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ key, final }) => [
      key,
      {
        compress: key === 'image_changes',
        filename: final,
        shasum: key === 'container' || key === 'root_archive',
        use_for_bundle: true,
      },
    ])
  return `${JSON.stringify(Object.fromEntries(entries), undefined, 4)}\n`
}

/** Writes a stream to a file that is not there yet. @throws DISK_FULL, CANCELLED */
export async function writeStream(
  bytes: AsyncIterable<Uint8Array>,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  try {
    const output = createWriteStream(file, { flags: 'wx', highWaterMark: 4 * 1024 * 1024 })
    await pipeline(bytes, output, signal === undefined ? {} : { signal })
  } catch (error) {
    throw asDiskFull(error, file)
  }
}

/** Writes the three reports into a set. @throws DISK_FULL */
export async function writeReports(
  results: ResultSet,
  baseName: string,
  reports: PackageReports,
): Promise<void> {
  const files = [
    ['image_packages', 'packages', reports.packages],
    ['image_changes', 'changes', reports.changes],
    ['image_verified', 'verified', reports.verified],
  ] as const
  for (const [key, suffix, text] of files) {
    const file = results.temporaryFor(key, `${baseName}.${suffix}`)
    try {
      await writeFile(file, text)
    } catch (error) {
      throw asDiskFull(error, file)
    }
  }
}

// Brings the files of a resolved set into the cache, with apt's own downloader. Files come in batches while earlier ones
// are already being unpacked; what was downloaded before is only checked.

import { copyFile } from 'node:fs/promises'
import path from 'node:path'
import { type ErrorCode, KauriError } from '../core/errors.ts'
import { lastLines } from '../core/process.ts'
import type { AptWorkspace } from './apt-workspace.ts'
import type { DebCache } from './deb-cache.ts'
import type { PackageWork, ResolvedPackage } from './package-manager.ts'

export interface DownloadedDeb {
  readonly wanted: ResolvedPackage
  readonly file: string
  /** Place in the list that was asked for. */
  readonly rank: number
}

export interface DownloadContext {
  readonly cache: DebCache
  readonly workspace: AptWorkspace
  readonly work: PackageWork
}

interface Wanted {
  readonly wanted: ResolvedPackage
  readonly rank: number
}

/** Enough to keep the unpacking busy, little enough that it starts soon. */
const batchBytes = 8 * 1024 * 1024
/** Keeps the argument list of one call far below the kernel's limit. */
const batchFiles = 500

/**
 * The files of all packages in batches, cached ones first.
 * @throws OFFLINE, DOWNLOAD_FAILED, CHECKSUM_MISMATCH
 */
export async function* downloadDebs(
  packages: readonly ResolvedPackage[],
  context: DownloadContext,
): AsyncGenerator<readonly DownloadedDeb[]> {
  const missing: Wanted[] = []
  const ready: DownloadedDeb[] = []
  for (const [rank, wanted] of packages.entries()) {
    context.work.signal?.throwIfAborted()
    const file = await context.cache.find(wanted)
    if (file === undefined) missing.push({ wanted, rank })
    else ready.push({ wanted, file, rank })
  }
  if (ready.length > 0) yield ready
  const [first] = missing
  if (first === undefined) return
  if (context.work.offline)
    throw new KauriError(
      'OFFLINE',
      `${missing.length} packages were never downloaded, the first is ${first.wanted.name} ${first.wanted.version}`,
      { hint: 'build once without --offline' },
    )
  yield* downloadMissing(missing, context)
}

/** One batch comes down while the one before it is worked on. */
async function* downloadMissing(
  missing: readonly Wanted[],
  context: DownloadContext,
): AsyncGenerator<readonly DownloadedDeb[]> {
  const progress = progressOf(missing, context.work)
  const batches = splitBatches(missing)
  const abandoned = new AbortController()
  const signals = context.work.signal === undefined ? [] : [context.work.signal]
  const signal = AbortSignal.any([abandoned.signal, ...signals])
  const start = (index: number): Promise<string[]> => {
    const files = downloadBatch(batches[index] ?? [], progress, { ...context, signal })
    // A failure is thrown when its turn comes, not before anybody listens.
    files.catch(() => {})
    return files
  }
  let coming = start(0)
  try {
    for (const [index, batch] of batches.entries()) {
      const files = await coming
      if (index + 1 < batches.length) coming = start(index + 1)
      yield batch.map(({ wanted, rank }, place) => ({ wanted, rank, file: files[place] ?? '' }))
    }
  } finally {
    abandoned.abort()
    await coming.catch(() => {})
  }
}

function splitBatches(missing: readonly Wanted[]): Wanted[][] {
  const batches: Wanted[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const one of missing) {
    const last = batches.at(-1)
    if (last === undefined || bytes >= batchBytes || last.length >= batchFiles) {
      batches.push([one])
      bytes = one.wanted.sizeBytes
    } else {
      last.push(one)
      bytes += one.wanted.sizeBytes
    }
  }
  return batches
}

interface DownloadProgress {
  during(batchBytes: number, percent: number): void
  finished(batchBytes: number): void
}

function progressOf(missing: readonly Wanted[], work: PackageWork): DownloadProgress {
  const total = missing.reduce((sum, { wanted }) => sum + wanted.sizeBytes, 0)
  let done = 0
  const emit = (bytes: number): void =>
    work.emit({ kind: 'step-progress', id: work.stepId, done: bytes, total, unit: 'bytes' })
  return {
    during: (bytes, percent) => emit(done + Math.floor((bytes * Math.min(percent, 100)) / 100)),
    finished(bytes) {
      done += bytes
      emit(done)
    },
  }
}

/** Downloads some files at once and moves them into the cache; their places there, in order. */
async function downloadBatch(
  batch: readonly Wanted[],
  progress: DownloadProgress,
  { cache, workspace, signal }: DownloadContext & { readonly signal: AbortSignal },
): Promise<string[]> {
  const bytes = batch.reduce((sum, { wanted }) => sum + wanted.sizeBytes, 0)
  const target = ({ rank }: Wanted): string => path.join(workspace.directory, 'debs', `${rank}.deb`)
  const remote: Wanted[] = []
  for (const one of batch) {
    const local = /^(?:file|copy):(?:\/\/(?=\/))?(\/.*)$/.exec(one.wanted.url)?.[1]
    if (local === undefined) remote.push(one)
    else await copyLocal(decodeURIComponent(local), target(one))
  }
  if (remote.length > 0) {
    const { exitCode, stdout, stderr } = await workspace.run(
      '/usr/lib/apt/apt-helper',
      ['download-file', ...remote.flatMap(one => downloadArguments(one, target(one)))],
      {
        signal,
        settings: [{ name: 'APT::Status-Fd', value: '1' }],
        onLine: line => {
          const percent = /^dlstatus:\d+:([0-9.]+):/.exec(line)?.[1]
          if (percent !== undefined) progress.during(bytes, Number(percent))
        },
      },
    )
    if (exitCode !== 0) throw downloadError(stdout, stderr)
  }
  const files: string[] = []
  for (const one of batch) files.push(await cache.add(one.wanted, target(one)))
  progress.finished(bytes)
  return files
}

function downloadArguments({ wanted }: Wanted, target: string): string[] {
  return [wanted.url, target, wanted.checksum.replace(/^sha256:/, 'SHA256:')]
}

async function copyLocal(source: string, target: string): Promise<void> {
  try {
    await copyFile(source, target)
  } catch (error) {
    throw new KauriError('DOWNLOAD_FAILED', `cannot read the package ${source}`, {
      hint: 'the repository may be changing right now: try again',
      cause: error,
    })
  }
}

function downloadError(stdout: string, stderr: string): KauriError {
  const [, what = '', reason = ''] = /^Err:\d+ (\S+).*\n\s*(.*)/m.exec(stdout) ?? []
  const said = reason === '' ? lastLines(stderr.replace(/^[EW]: /gm, ''), 5) : reason
  const isChanged = /Hash Sum mismatch|unexpected size/i.test(said)
  const code: ErrorCode = isChanged ? 'CHECKSUM_MISMATCH' : 'DOWNLOAD_FAILED'
  return new KauriError(code, `downloading packages failed: ${what} ${said}`.trim(), {
    hint: isChanged
      ? 'the mirror may be changing right now: try again'
      : 'check the network, then try again: what was downloaded is kept',
  })
}

// Unpacks a tar onto a tree, a root file system or a layer. The archive is hostile until shown otherwise: paths are cleaned
// by tar-path.ts, resolved by the kernel inside the root, and every number is bounded by the limits. What fails leaves
// the tree half done; whoever made the tree throws it away.

import process from 'node:process'
import { asDiskFull } from '../core/atomic-file.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { AppliedTar, ApplyOptions } from './apply-options.ts'
import { EntryWriter } from './entry-writer.ts'
import { defaultArchiveLimits } from './layer.ts'
import { TreeError } from './open-directories.ts'
import type { TarEntry } from './tar-entry.ts'
import { cleanTarPath, rootPath } from './tar-path.ts'
import { type TarHandlers, TarReader } from './tar-reader.ts'
import { createPause } from './time-slice.ts'
import { createWhiteoutWriter } from './whiteout-writer.ts'

export type { AppliedTar, ApplyOptions } from './apply-options.ts'

/**
 * Applies an uncompressed tar to the tree of a root descriptor (O_PATH will do). Nothing is synced to the disk.
 * @throws ARCHIVE_INVALID with the place in the archive; DISK_FULL; NOT_ROOT for devices; CANCELLED
 */
export async function applyTar(
  tar: AsyncIterable<Uint8Array>,
  rootFd: number,
  options: ApplyOptions,
): Promise<AppliedTar> {
  const passing = applyWhilePassing(tar, rootFd, options)
  for (;;) {
    const { done, value } = await passing.next()
    if (done) return value
  }
}

/**
 * Applies a tar and hands each chunk on after it was applied, so that one pass also hashes, packs or stores it. Chunks are
 * passed as they came. What the archive held is the generator's return value.
 */
export async function* applyWhilePassing<Chunk extends Uint8Array>(
  tar: AsyncIterable<Chunk>,
  rootFd: number,
  options: ApplyOptions,
): AsyncGenerator<Chunk, AppliedTar> {
  using applier = new TarApplier(rootFd, options)
  const pause = createPause()
  for await (const chunk of tar) {
    if (options.signal?.aborted) throw cancelled(options.signal)
    applier.write(chunk)
    yield chunk
    await pause()
  }
  return applier.end()
}

class TarApplier implements Disposable {
  readonly #options: ApplyOptions
  readonly #archive: string
  readonly #writer: EntryWriter
  readonly #reader: TarReader
  /** Where hard links find what `rename` moved. */
  readonly #renamed = new Map<string, string>()
  #path = rootPath
  /** The path that the current entry is written to; undefined where it is left out. */
  #writtenPath: string | undefined
  #entries = 0
  #bytes = 0
  #newestMtimeSeconds = 0

  constructor(rootFd: number, options: ApplyOptions) {
    this.#options = options
    this.#archive = options.name ?? 'the archive'
    this.#writer = new EntryWriter(rootFd, options)
    const takeWhiteout = createWhiteoutWriter(options.whiteouts, this.#writer)
    const handlers: TarHandlers = {
      onEntry: entry => this.#startEntry(entry, takeWhiteout),
      onData: (bytes, offset) => {
        if (this.#writtenPath !== undefined) this.#writer.write(bytes, offset)
      },
      onEntryEnd: entry => this.#endEntry(entry),
    }
    this.#reader = new TarReader(handlers, {
      archive: this.#archive,
      limits: options.limits ?? defaultArchiveLimits,
    })
  }

  write(chunk: Uint8Array): void {
    try {
      this.#reader.write(chunk)
    } catch (error) {
      throw this.#explain(error)
    }
  }

  end(): AppliedTar {
    try {
      this.#reader.end()
      this.#writer.finishDirectories()
    } catch (error) {
      throw this.#explain(error)
    }
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      newestMtimeSeconds: this.#newestMtimeSeconds,
    }
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]()
  }

  #startEntry(entry: TarEntry, takeWhiteout: (path: string) => boolean): void {
    this.#path = entry.path
    const path = this.#pathFor(entry)
    this.#writtenPath = path
    if (path === undefined) return
    if (takeWhiteout(path)) {
      this.#writtenPath = undefined
      return
    }
    this.#writer.start(path, this.#withLinkTarget(entry))
  }

  #endEntry(entry: TarEntry): void {
    const path = this.#writtenPath
    if (path === undefined) return
    this.#writer.finish()
    this.#entries++
    this.#bytes += entry.size
    this.#newestMtimeSeconds = Math.max(this.#newestMtimeSeconds, entry.mtimeSeconds)
    this.#options.onEntry?.(entry, path)
  }

  #pathFor(entry: TarEntry): string | undefined {
    const { rename } = this.#options
    const renamed = rename === undefined ? entry.path : rename(entry)
    if (renamed === undefined) return undefined
    if (renamed === entry.path) return this.#inTarget(entry.path)
    const clean = cleanTarPath(renamed)
    if (clean.kind === 'refused') throw new TreeError(clean.why)
    this.#renamed.set(entry.path, clean.path)
    return this.#inTarget(clean.path)
  }

  #withLinkTarget(entry: TarEntry): TarEntry {
    if (entry.type !== 'link') return entry
    const target = this.#renamed.get(entry.linkTarget) ?? entry.linkTarget
    return { ...entry, linkTarget: this.#inTarget(target) }
  }

  #inTarget(path: string): string {
    const { target } = this.#options
    if (target === undefined) return path
    const clean = cleanTarPath(`/${target}/${path}`)
    if (clean.kind === 'refused') throw new TreeError(clean.why)
    return clean.path
  }

  /** An error of the file system as what it means to whoever gave the archive. */
  #explain(error: unknown): unknown {
    if (error instanceof KauriError) return error
    const what = `${this.#archive}: the entry ${JSON.stringify(this.#path.slice(0, 300))} cannot be unpacked`
    const details = { cause: error }
    if (error instanceof TreeError)
      return new KauriError('ARCHIVE_INVALID', `${what}: ${error.message}`, details)
    if (!(error instanceof Error) || hasErrno(error, 'ENOSPC', 'EDQUOT'))
      return asDiskFull(error, this.#path)
    const why = `${what}: ${error.message}`
    if (hasErrno(error, 'EPERM', 'EACCES', 'EROFS'))
      return new KauriError(
        process.geteuid?.() === 0 ? 'PERMISSION_DENIED' : 'NOT_ROOT',
        why,
        details,
      )
    return hasErrno(error, ...archiveFaults)
      ? new KauriError('ARCHIVE_INVALID', why, details)
      : error
  }
}

/** What the kernel says to names and links that no tree can have. */
const archiveFaults = ['ENAMETOOLONG', 'ENOTDIR', 'ELOOP', 'EINVAL', 'ENOENT', 'EISDIR', 'EMLINK']

// Cache mounts on their way to other machines: each as one tar, with annotations that say which mount it is. Equal
// directories give equal bytes. What comes back is unpacked only where this machine has no mount of that name.

import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { canonicalJson } from '../core/canonical-json.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { readTextSync } from '../core/text-file.ts'
import { applyTar } from '../layer/apply-tar.ts'
import { packTree } from '../layer/pack-tree.ts'
import { type FileLock, lockFile } from '../native/file-lock.ts'
import { oPath } from '../native/in-root.ts'
import { isDigest, parseDigest } from '../oci/digest.ts'
import type { BuildStage } from '../plan/plan.ts'
import {
  type CacheMountIdentity,
  cacheMountLock,
  cacheMountName,
  cacheMountRoot,
  dataName,
  makeCacheMount,
  recordName,
} from './cache-mounts.ts'

/** One cache mount, held against changes until the next one is asked for. */
export interface PackedCacheMount {
  /** For the descriptor of its blob. */
  readonly annotations: Readonly<Record<string, string>>
  /** The uncompressed tar: sorted, with owners, modes and times. */
  readonly openTar: () => AsyncIterable<Uint8Array>
}

export interface ExchangeOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ImportOptions extends ExchangeOptions {
  /** The mounts that a build has: a cache fills no others, which would wait for the next build of somebody else. */
  readonly ids: 'all' | ReadonlySet<string>
}

/** The ids of all cache mounts of a build. */
export function cacheMountIds(stages: readonly BuildStage[]): ReadonlySet<string> {
  return new Set(
    stages
      .flatMap(({ steps }) => steps)
      .flatMap(step => (step.kind === 'run' ? (step.buildMounts ?? []) : []))
      .flatMap(mount => (mount.kind === 'cache' ? [mount.id] : [])),
  )
}

const annotationName = 'dev.kauri.cache-mount'

/** True for a descriptor whose blob is a cache mount. */
export function isCacheMount(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return annotations?.[annotationName] !== undefined
}

/** The first copy of each cache mount with one of these ids, in the order of their names; waits for who uses it. @throws CANCELLED */
export async function* exportCacheMounts(
  dataRoot: string,
  ids: 'all' | ReadonlySet<string>,
  { signal }: ExchangeOptions = {},
): AsyncGenerator<PackedCacheMount, void> {
  for (const copyName of firstCopies(cacheMountRoot(dataRoot))) {
    const directory = path.join(cacheMountRoot(dataRoot), copyName)
    const text = readTextSync(path.join(directory, recordName))
    const identity = text === undefined ? undefined : parseIdentity(text)
    if (identity === undefined || (ids !== 'all' && !ids.has(identity.id))) continue
    using _ = await lockOrCancel(cacheMountLock(dataRoot, copyName), signal)
    if (!existsSync(directory)) continue
    const source = { kind: 'tree', path: path.join(directory, dataName) } as const
    yield {
      annotations: { [annotationName]: canonicalJson(identity) },
      openTar: () => packTree(source, { signal }),
    }
  }
}

/**
 * Unpacks a cache mount. False where this machine has it already, since what is here is at least as warm, and for a mount
 * that is not asked for.
 * @throws ARCHIVE_INVALID for annotations or a tar that kauri did not write; DISK_FULL, CANCELLED
 */
export async function importCacheMount(
  dataRoot: string,
  annotations: Readonly<Record<string, string>> | undefined,
  openTar: () => AsyncIterable<Uint8Array>,
  { ids, signal }: ImportOptions,
): Promise<boolean> {
  const identity = parseIdentity(annotations?.[annotationName] ?? '')
  if (identity === undefined)
    throw new KauriError('ARCHIVE_INVALID', 'a cache mount does not say which one it is')
  if (ids !== 'all' && !ids.has(identity.id)) return false
  const copyName = `${cacheMountName(identity)}.0`
  const copy = path.join(cacheMountRoot(dataRoot), copyName)
  if (existsSync(copy)) return false
  using _ = await lockOrCancel(cacheMountLock(dataRoot, copyName), signal)
  if (existsSync(copy)) return false
  await makeCacheMount(copy, identity, async directoryFd => {
    mkdirSync(`/proc/self/fd/${directoryFd}/${dataName}`, { mode: 0o700 })
    const rootFd = openSync(
      `/proc/self/fd/${directoryFd}/${dataName}`,
      oPath | constants.O_DIRECTORY,
    )
    try {
      const name = `the cache mount ${JSON.stringify(identity.id)}`
      await applyTar(openTar(), rootFd, {
        name,
        whiteouts: 'ordinary',
        ownership: 'archive',
        signal,
      })
    } finally {
      closeSync(rootFd)
    }
  })
  return true
}

const firstCopyForm = /^[0-9a-f]{64}\.0$/

function firstCopies(root: string): string[] {
  try {
    return readdirSync(root)
      .filter(name => firstCopyForm.test(name))
      .toSorted()
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** Undefined for what is no identity; the text may come from another machine. */
function parseIdentity(text: string): CacheMountIdentity | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { id, mode, uid, gid, base } = value as Record<string, unknown>
  if (typeof id !== 'string' || !isNumber(mode) || !isNumber(uid) || !isNumber(gid))
    return undefined
  if (base === undefined) return { id, mode, uid, gid }
  return typeof base === 'string' && isDigest(base)
    ? { id, mode, uid, gid, base: parseDigest(base) }
    : undefined
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}

async function lockOrCancel(file: string, signal: AbortSignal | undefined): Promise<FileLock> {
  try {
    return await lockFile(file, 'exclusive', signal)
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    throw error
  }
}

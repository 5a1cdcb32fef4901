// `kauri gc`: frees what nobody needs any more: blobs that no image refers to, and unpacked trees that no image, build or
// container stands on.

import { existsSync } from 'node:fs'
import process from 'node:process'
import type { CollectCacheMounts } from '../../build/cache-mount-collection.ts'
import type { CollectRecordsOptions } from '../../build/collect-records.ts'
import { KauriError } from '../../core/errors.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandContext, CommandInput, CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { neededTrees } from '../kept-trees.ts'
import { openStore } from '../open-store.ts'
import { openTrees } from '../open-trees.ts'
import { parseBytes } from '../option-values.ts'

export const command: CommandSpec = {
  name: 'gc',
  summary: 'Free what no image, build or container needs',
  details: [
    'Removes blobs that no image refers to and unpacked trees that nothing stands on. Builds and imports that run meanwhile lose nothing.',
    'A duration is a number with s, m, h or d.',
  ],
  options: [
    {
      long: 'grace',
      value: 'DURATION',
      summary: 'Keep blobs used within this time, by default 1h',
    },
    {
      long: 'cache-age',
      value: 'DURATION',
      summary:
        'Keep results of build steps, cache mounts and downloads used within this time, by default 7d',
    },
    {
      long: 'cache-mounts',
      value: 'SIZE',
      summary: 'Keep at most this much in cache mounts; the least recently used go first',
    },
    { long: 'dry-run', summary: 'Only tell what would go' },
  ],
  run: freeSpace,
}

const hourMs = 3_600_000

async function freeSpace({ options, context }: CommandInput): Promise<number> {
  const store = openStore(context)
  const dryRun = options.flag('dry-run')
  const graceMs = durationMs('grace', options.text('grace') ?? '1h')
  const cacheMs = durationMs('cache-age', options.text('cache-age') ?? '7d')
  const collected = await store.collectGarbage({ graceMs, dryRun, signal: context.signal })
  const trees = await collectTrees(store, Date.now() - cacheMs, { dryRun, context })
  const maxText = options.text('cache-mounts')
  const maxBytes = maxText === undefined ? undefined : parseBytes('--cache-mounts', maxText)
  const usedBeforeMs = Date.now() - cacheMs
  const cacheMounts = await collectMounts({ usedBeforeMs, maxBytes, dryRun }, context)
  const sources = await collectDownloads({ usedBeforeMs, graceMs, dryRun }, context)
  const records = await collectRecords(store, { graceMs, usedBeforeMs, dryRun }, context)
  const verb = dryRun ? 'would free' : 'freed'
  context.print(`${verb} ${collected.blobs} blobs, ${humanSize(collected.bytes)}`)
  context.print(`${verb} ${trees} trees`)
  context.print(`${verb} ${cacheMounts.mounts} cache mounts, ${humanSize(cacheMounts.bytes)}`)
  context.print(`${verb} ${sources.sources} sources of builds, ${humanSize(sources.bytes)}`)
  context.print(`${verb} ${records} records`)
  context.printJson({ ...collected, trees, cacheMounts, sources, records, dryRun })
  return 0
}

/** Cache mounts of RUN instructions; those that a build uses stay. */
async function collectMounts(
  limits: Omit<CollectCacheMounts, 'signal'>,
  { dataRoot, signal }: CommandContext,
): Promise<{ readonly mounts: number; readonly bytes: number }> {
  const { collectCacheMounts } = await import('../../build/cache-mount-collection.ts')
  return await collectCacheMounts(dataRoot, { ...limits, signal })
}

/** What ADD and contexts downloaded; a build that works now has used its own a moment ago. */
async function collectDownloads(
  {
    usedBeforeMs,
    graceMs,
    dryRun,
  }: { readonly usedBeforeMs: number; readonly graceMs: number; readonly dryRun: boolean },
  { dataRoot }: CommandContext,
): Promise<{ readonly sources: number; readonly bytes: number }> {
  const { collectSources } = await import('../../build/collect-sources.ts')
  return collectSources(dataRoot, {
    usedBeforeMs: Math.min(usedBeforeMs, Date.now() - graceMs),
    dryRun,
  })
}

/** What builds noted about results that are gone by now. */
async function collectRecords(
  store: DiskStore,
  options: Pick<CollectRecordsOptions, 'graceMs' | 'usedBeforeMs' | 'dryRun'>,
  context: CommandContext,
): Promise<number> {
  if (process.getuid?.() !== 0) return 0
  const { collectBuildRecords } = await import('../../build/collect-records.ts')
  const trees = new Set<string>((await (await openTrees(context)).list()).map(({ id }) => id))
  return collectBuildRecords(context.dataRoot, {
    ...options,
    isStored: hex => existsSync(store.blobPath(parseDigest(`sha256:${hex}`))),
    isKept: name => trees.has(name),
  })
}

async function collectTrees(
  store: DiskStore,
  usedBeforeMs: number,
  { dryRun, context }: { readonly dryRun: boolean; readonly context: CommandContext },
): Promise<number> {
  if (process.getuid?.() !== 0) return 0
  const { collectSnapshots } = await import('../../rootfs/collect-snapshots.ts')
  const keep = await neededTrees(store, context.dataRoot)
  const trees = await openTrees(context, { sweepsFirst: true })
  return (await collectSnapshots(trees, { keep, usedBeforeMs, dryRun })).length
}

const unitMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: hourMs, d: 24 * hourMs }

function durationMs(option: string, text: string): number {
  const [, amount, unit = 's'] = /^(\d{1,9})([smhd])?$/.exec(text) ?? []
  if (amount === undefined)
    throw new KauriError('USAGE', `--${option} ${text} is no duration`, {
      hint: 'write a number with s, m, h or d, such as 90m',
    })
  return Number(amount) * (unitMs[unit] ?? 1000)
}

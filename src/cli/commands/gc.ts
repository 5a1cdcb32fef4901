// `kauri gc`: frees what nobody needs any more: blobs that no image refers to, and unpacked trees that no image, build or
// container stands on. By policy also images, and of what builds can make anew what is old or too much.

import { existsSync } from 'node:fs'
import process from 'node:process'
import { imageSnapshotNames } from '../../image/snapshot-names.ts'
import { parseDigest } from '../../oci/digest.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandContext, CommandInput, CommandSpec } from '../command.ts'
import { type GcFilters, namesOf, parseGcFilters, type StoredThing } from '../gc-filters.ts'
import { type ChosenImage, chooseImages } from '../gc-images.ts'
import { chooseGarbage } from '../gc-policy.ts'
import { listRemakeable, removeRemakeable } from '../gc-things.ts'
import { humanDuration, humanSize } from '../human-units.ts'
import { parseDuration } from '../moments.ts'
import { openStore } from '../open-store.ts'
import { openTrees } from '../open-trees.ts'
import { parseBytes } from '../option-values.ts'

export const command: CommandSpec = {
  name: 'gc',
  summary: 'Free what no image, build or container needs',
  details: [
    'Removes blobs that no image refers to, and results of build steps, cache mounts and downloads that nobody used for long. Builds, imports and pulls that run meanwhile lose nothing.',
    'With --keep-storage the least recently used results, cache mounts and downloads go, whatever their age, until the rest fits.',
    'Images go only with --all, or with a filter on what only they have: without --all those that have no name. What a container was made from stays.',
    'Filters: until=TIME or unused-for=SPAN, label=KEY[=VALUE], label!=KEY[=VALUE], dangling=true|false, id=DIGEST, type=image|blob|tree|cache-mount|source|record. All must fit; of several types or digests one.',
    'A duration is a number with s, m, h or d, or several of them.',
  ],
  options: [
    { long: 'all', short: 'a', summary: 'Remove all images that no container was made from, too' },
    {
      long: 'filter',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'Free only what fits',
    },
    {
      long: 'keep-storage',
      value: 'SIZE',
      summary: 'Keep at most this much of what builds can make anew',
    },
    {
      long: 'older-than',
      value: 'DURATION',
      summary: 'Free what nobody used for this time, whatever it is',
    },
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

async function freeSpace({ options, context }: CommandInput): Promise<number> {
  const plan = readPlan(options)
  const store = openStore(context)
  const images = await chooseAsked(store, plan, context)
  // Asked for while their configurations are there.
  const imageTrees = await imageSnapshotNames(
    store,
    images.map(({ descriptor }) => descriptor),
  )
  if (!plan.dryRun && images.length > 0)
    await store.dropListed(images.flatMap(({ names }) => names))
  const blobs = await removeBlobs(store, { plan, images, context })
  const remade = await removeCaches(context, { plan, images, imageTrees })
  const records = await removeRecords(store, plan, context)
  const freed = [...images.map(describeImage), ...blobs, ...remade]
  tell(context, { plan, freed, records })
  return 0
}

interface Plan {
  readonly nowMs: number
  /** Blobs used within this time stay. */
  readonly graceMs: number
  /** What builds can make anew stays where it was used since. */
  readonly cacheUsedBeforeMs: number
  readonly keepBytes: number | undefined
  readonly maxMountBytes: number | undefined
  readonly isAll: boolean
  readonly dryRun: boolean
  readonly filters: GcFilters
}

function readPlan(options: CommandInput['options']): Plan {
  const nowMs = Date.now()
  const duration = (option: string): number | undefined => {
    const text = options.text(option)
    return text === undefined ? undefined : parseDuration(`--${option}`, text)
  }
  const size = (option: string): number | undefined => {
    const text = options.text(option)
    return text === undefined ? undefined : parseBytes(`--${option}`, text)
  }
  const keepBytes = size('keep-storage')
  const filters = parseGcFilters(options.texts('filter'), nowMs)
  const olderThanMs =
    duration('older-than') ?? (filters.untilMs === undefined ? undefined : nowMs - filters.untilMs)
  const usualCacheMs = keepBytes === undefined ? parseDuration('', '7d') : 0
  return {
    nowMs,
    graceMs: duration('grace') ?? olderThanMs ?? parseDuration('', '1h'),
    cacheUsedBeforeMs: nowMs - (duration('cache-age') ?? olderThanMs ?? usualCacheMs),
    keepBytes,
    maxMountBytes: size('cache-mounts'),
    isAll: options.flag('all'),
    dryRun: options.flag('dry-run'),
    filters,
  }
}

/** Images that go are those that somebody asked to. */
async function chooseAsked(
  store: DiskStore,
  { filters, isAll }: Plan,
  { dataRoot }: CommandContext,
): Promise<ChosenImage[]> {
  if ((!isAll && !filters.choosesImages) || !filters.takesKind('image')) return []
  return await chooseImages(store, dataRoot, { filters, isAll })
}

interface BlobWork {
  readonly plan: Plan
  readonly images: readonly ChosenImage[]
  readonly context: CommandContext
}

/** Those of images that went go at once, the others after the time of grace. */
async function removeBlobs(
  store: DiskStore,
  { plan, images, context }: BlobWork,
): Promise<StoredThing[]> {
  const { filters, dryRun, graceMs } = plan
  const freed = new Map<string, StoredThing>()
  const onBlob = (blob: { digest: string; bytes: number; usedMs: number }): void => {
    freed.set(blob.digest, {
      kind: 'blob',
      id: blob.digest,
      bytes: blob.bytes,
      usedMs: blob.usedMs,
    })
  }
  const going = images.map(({ descriptor }) => descriptor)
  const ignoring = new Set(going.map(({ digest }) => digest))
  const how = { dryRun, signal: context.signal, onBlob, ...(dryRun ? { ignoring } : {}) }
  if (going.length > 0) await store.collectGarbage({ ...how, graceMs: 0, within: going })
  // A filter on images speaks of nothing else, and one on digests of single blobs.
  if (!filters.choosesImages && filters.takesKind('blob'))
    await store.collectGarbage({
      ...how,
      graceMs,
      isWanted: digest => filters.takes({ kind: 'blob', id: digest }),
    })
  return [...freed.values()]
}

interface CacheWork {
  readonly plan: Plan
  readonly images: readonly ChosenImage[]
  /** Names of the trees that these images are unpacked into. */
  readonly imageTrees: ReadonlySet<string>
}

/** Trees of images that go, go with them. */
async function removeCaches(
  context: CommandContext,
  { plan, images, imageTrees }: CacheWork,
): Promise<StoredThing[]> {
  const { filters, keepBytes, maxMountBytes, dryRun, nowMs } = plan
  const ignoring = new Set(images.map(({ descriptor }) => descriptor.digest))
  const takesKind = (kind: StoredThing['kind']): boolean =>
    filters.takesKind(kind) || (kind === 'tree' && imageTrees.size > 0)
  const things = await listRemakeable(context, { takesKind, ignoring })
  const usedBeforeMs = plan.cacheUsedBeforeMs
  const chosen = new Set(chooseGarbage(things, { usedBeforeMs, keepBytes, filters }))
  for (const thing of things) if (imageTrees.has(thing.id)) chosen.add(thing)
  if (maxMountBytes !== undefined) {
    const mounts = things.filter(thing => thing.kind === 'cache-mount' && !chosen.has(thing))
    const all = { usedBeforeMs: nowMs, keepBytes: maxMountBytes, filters }
    for (const thing of chooseGarbage(mounts, all)) chosen.add(thing)
  }
  // What was used since it was listed stays.
  return await removeRemakeable(context, [...chosen], { usedBeforeMs: nowMs, dryRun })
}

/** What builds noted about results that are gone by now. */
async function removeRecords(
  store: DiskStore,
  { filters, graceMs, cacheUsedBeforeMs, dryRun }: Plan,
  context: CommandContext,
): Promise<number> {
  if (process.getuid?.() !== 0 || !filters.takesKind('record')) return 0
  const { collectBuildRecords } = await import('../../build/collect-records.ts')
  const trees = new Set<string>((await (await openTrees(context)).list()).map(({ id }) => id))
  return collectBuildRecords(context.dataRoot, {
    graceMs,
    usedBeforeMs: cacheUsedBeforeMs,
    dryRun,
    isStored: hex => existsSync(store.blobPath(parseDigest(`sha256:${hex}`))),
    isKept: name => trees.has(name),
  })
}

/** Their time is that of their making; their bytes are those of their blobs. */
function describeImage(image: ChosenImage): StoredThing {
  const { descriptor, createdMs = 0 } = image
  const name = namesOf(image).join(', ')
  return { kind: 'image', id: descriptor.digest, name, bytes: 0, usedMs: createdMs }
}

interface Outcome {
  readonly plan: Plan
  readonly freed: readonly StoredThing[]
  readonly records: number
}

function tell(context: CommandContext, { plan, freed, records }: Outcome): void {
  const verb = plan.dryRun ? 'would free' : 'freed'
  const of = (kind: StoredThing['kind']): { readonly count: number; readonly bytes: number } => {
    const things = freed.filter(thing => thing.kind === kind)
    return { count: things.length, bytes: things.reduce((sum, { bytes }) => sum + bytes, 0) }
  }
  const [images, blobs, trees] = [of('image'), of('blob'), of('tree')]
  const [mounts, sources] = [of('cache-mount'), of('source')]
  if (plan.dryRun) for (const thing of freed) context.print(formatThing(thing, plan.nowMs))
  if (images.count > 0) context.print(`${verb} ${images.count} images`)
  context.print(`${verb} ${blobs.count} blobs, ${humanSize(blobs.bytes)}`)
  context.print(`${verb} ${trees.count} trees, ${humanSize(trees.bytes)}`)
  context.print(`${verb} ${mounts.count} cache mounts, ${humanSize(mounts.bytes)}`)
  context.print(`${verb} ${sources.count} sources of builds, ${humanSize(sources.bytes)}`)
  context.print(`${verb} ${records} records`)
  context.printJson({
    images: images.count,
    blobs: blobs.count,
    bytes: blobs.bytes,
    trees: trees.count,
    treeBytes: trees.bytes,
    cacheMounts: { mounts: mounts.count, bytes: mounts.bytes },
    sources: { sources: sources.count, bytes: sources.bytes },
    records,
    totalBytes: freed.reduce((sum, { bytes }) => sum + bytes, 0),
    items: freed,
    dryRun: plan.dryRun,
  })
}

function formatThing({ kind, id, name, bytes, usedMs }: StoredThing, nowMs: number): string {
  const words = name === undefined || name === id ? id : `${id} (${name})`
  return `${kind} ${words}, ${humanSize(bytes)}, ${humanDuration(nowMs - usedMs)} ago`
}

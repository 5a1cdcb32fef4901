// What builds can make anew, as one list with sizes and times: unpacked trees, cache mounts, downloads. And how chosen ones
// are removed, unless somebody has used them since.

import path from 'node:path'
import process from 'node:process'
import type { CommandContext } from './command.ts'
import { diskBytes } from './disk-bytes.ts'
import type { StoredKind, StoredThing } from './gc-filters.ts'
import { neededTrees } from './kept-trees.ts'
import { openStore } from './open-store.ts'
import { openTrees } from './open-trees.ts'

export interface RemakeableChoice {
  readonly takesKind: (kind: StoredKind) => boolean
  /** Images that keep nothing. */
  readonly ignoring: ReadonlySet<string>
}

/** Everything that no image, no container and no process stands on. @throws CANCELLED */
export async function listRemakeable(
  context: CommandContext,
  { takesKind, ignoring }: RemakeableChoice,
): Promise<StoredThing[]> {
  return [
    ...(takesKind('tree') ? await listTrees(context, ignoring) : []),
    ...(takesKind('cache-mount') ? await listMounts(context) : []),
    ...(takesKind('source') ? await listDownloads(context) : []),
  ]
}

/** Removes them and tells which went: what somebody uses stays. @throws CANCELLED */
export async function removeRemakeable(
  context: CommandContext,
  chosen: readonly StoredThing[],
  { usedBeforeMs, dryRun }: { readonly usedBeforeMs: number; readonly dryRun: boolean },
): Promise<StoredThing[]> {
  if (dryRun || chosen.length === 0) return [...chosen]
  const idsOf = (kind: StoredKind): Set<string> =>
    new Set(chosen.filter(thing => thing.kind === kind).map(({ id }) => id))
  const { dataRoot, signal } = context
  const trees = idsOf('tree')
  const removed = new Set(trees.size === 0 ? [] : await removeTrees(context, trees, usedBeforeMs))
  const mounts = idsOf('cache-mount')
  if (mounts.size > 0) {
    const { collectCacheMounts } = await import('../build/cache-mount-collection.ts')
    await collectCacheMounts(dataRoot, { usedBeforeMs, within: mounts, signal })
  }
  const sources = idsOf('source')
  const { collectSources } = await import('../build/collect-sources.ts')
  collectSources(dataRoot, { usedBeforeMs, within: sources })
  const left = new Set((await listLeft(context)).map(({ id }) => id))
  return chosen.filter(({ kind, id }) => (kind === 'tree' ? removed.has(id) : !left.has(id)))
}

async function listTrees(
  context: CommandContext,
  ignoring: ReadonlySet<string>,
): Promise<StoredThing[]> {
  if (process.getuid?.() !== 0) return []
  const { listLooseSnapshots } = await import('../rootfs/collect-snapshots.ts')
  const trees = await openTrees(context, { sweepsFirst: true })
  // Asking each of ten thousand images takes a second.
  if ((await trees.list()).length === 0) return []
  const keep = await neededTrees(openStore(context), context.dataRoot, ignoring)
  return (await listLooseSnapshots(trees, keep)).map(({ id, usedMs }) => ({
    kind: 'tree',
    id,
    bytes: diskBytes(path.join(context.dataRoot, 'snapshots', trees.name, id)),
    usedMs,
  }))
}

async function removeTrees(
  context: CommandContext,
  within: ReadonlySet<string>,
  usedBeforeMs: number,
): Promise<string[]> {
  const { collectSnapshots } = await import('../rootfs/collect-snapshots.ts')
  const keep = await neededTrees(openStore(context), context.dataRoot)
  return await collectSnapshots(await openTrees(context), { keep, within, usedBeforeMs })
}

async function listMounts({ dataRoot, signal }: CommandContext): Promise<StoredThing[]> {
  const { listCacheMounts } = await import('../build/cache-mount-collection.ts')
  return (await listCacheMounts(dataRoot, signal)).flatMap(({ name, id, bytes, usedMs, inUse }) =>
    inUse ? [] : [{ kind: 'cache-mount', id: name, name: id, bytes, usedMs }],
  )
}

async function listDownloads({ dataRoot }: CommandContext): Promise<StoredThing[]> {
  const { listSources } = await import('../build/collect-sources.ts')
  return listSources(dataRoot).map(source => ({ kind: 'source', ...source }))
}

async function listLeft(context: CommandContext): Promise<StoredThing[]> {
  return [...(await listMounts(context)), ...(await listDownloads(context))]
}

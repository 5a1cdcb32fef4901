// What takes the room in a state directory, kind by kind and thing by thing.

import { statSync } from 'node:fs'
import path from 'node:path'
import { listCacheMounts } from '../build/cache-mount-collection.ts'
import { listContainers } from '../container/container-records.ts'
import { openVolumes } from '../container/volumes.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { formatFamiliar } from '../oci/reference.ts'
import { childrenOf } from '../store/children.ts'
import type { DiskStore } from '../store/disk-store.ts'
import type { StoredImage } from '../store/layout-reader.ts'
import type { CommandContext } from './command.ts'
import { diskBytes, entriesOf } from './disk-bytes.ts'
import { neededTrees } from './kept-trees.ts'
import { openStore } from './open-store.ts'

/** Everything of one kind. */
export interface Usage {
  readonly type: 'images' | 'containers' | 'volumes' | 'trees' | 'cache mounts' | 'cache'
  readonly count: number
  /** How many of them something uses. */
  readonly active: number
  /** Bytes on disk. */
  readonly bytes: number
  /** Bytes that no image and no container needs. */
  readonly reclaimableBytes: number
  readonly items: readonly UsedRoom[]
}

/** One thing that takes room. */
export interface UsedRoom {
  readonly id: string
  /** What people call it; empty where it has no name. */
  readonly name: string
  readonly bytes: number
  /** Of these, bytes that other things of its kind need, too. */
  readonly sharedBytes: number
  /** What uses it: containers of an image or volume, the status of a container. */
  readonly users: readonly string[]
}

export interface StorageUsage {
  readonly usages: readonly Usage[]
  /** Bytes that images have in common, once for each image but the first. */
  readonly sharedBytes: number
}

/** Measures everything; what may not be read counts nothing. @throws STORE_INVALID, CANCELLED */
export async function measureStorage(context: CommandContext): Promise<StorageUsage> {
  const store = openStore(context)
  const { usage: images, sharedBytes } = await imageUsage(store, context.dataRoot)
  const needed = await neededTrees(store, context.dataRoot)
  return {
    usages: [
      images,
      containerUsage(context.dataRoot),
      volumeUsage(context.dataRoot),
      treeUsage(context.dataRoot, needed),
      await mountUsage(context),
      cacheUsage(path.join(context.dataRoot, 'cache')),
    ],
    sharedBytes,
  }
}

async function imageUsage(
  store: DiskStore,
  dataRoot: string,
): Promise<{ readonly usage: Usage; readonly sharedBytes: number }> {
  const containers = listContainers(path.join(dataRoot, 'containers'))
  const byDigest = Map.groupBy(await store.listEntries(), ({ descriptor }) => descriptor.digest)
  const users = new Map<string, number>()
  const found: {
    readonly names: readonly StoredImage[]
    readonly blobs: ReadonlyMap<string, number>
  }[] = []
  for (const names of byDigest.values()) {
    const blobs = await blobsOf(store, names[0]?.descriptor)
    for (const digest of blobs.keys()) users.set(digest, (users.get(digest) ?? 0) + 1)
    found.push({ names, blobs })
  }
  const items = found.map(({ names, blobs }) => {
    const shared = [...blobs].filter(([digest]) => (users.get(digest) ?? 0) > 1)
    return {
      id: names[0]?.descriptor.digest ?? '',
      name: names
        .flatMap(({ reference }) => reference ?? [])
        .map(formatFamiliar)
        .join(', '),
      bytes: sum(blobs.values()),
      sharedBytes: sum(shared.map(([, size]) => size)),
      users: containers.filter(({ imageDigest }) => blobs.has(imageDigest)).map(({ name }) => name),
    }
  })
  const neededBytes = sum(new Map(found.flatMap(({ blobs }) => [...blobs])).values())
  const bytes = sum(sizesIn(path.join(store.root, 'blobs', 'sha256')))
  return {
    usage: {
      type: 'images',
      count: items.length,
      active: items.filter(item => item.users.length > 0).length,
      bytes,
      reclaimableBytes: Math.max(0, bytes - neededBytes),
      items,
    },
    sharedBytes: sum(items.map(item => item.bytes)) - neededBytes,
  }
}

/** Stored blobs of an image, with their sizes on disk; those of a damaged document are not known. */
async function blobsOf(
  store: DiskStore,
  root: Descriptor | undefined,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  const waiting = root === undefined ? [] : [root]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const size = statSync(store.blobPath(next.digest), { throwIfNoEntry: false })?.size
    if (size === undefined || found.has(next.digest)) continue
    found.set(next.digest, size)
    waiting.push(...(await readableChildren(store, next)))
  }
  return found
}

async function readableChildren(store: DiskStore, descriptor: Descriptor): Promise<Descriptor[]> {
  try {
    return (await childrenOf(store, descriptor)).map(child => child.descriptor)
  } catch (error) {
    if (error instanceof KauriError) return []
    throw error
  }
}

/** What containers wrote; nothing of it goes but with them. */
function containerUsage(dataRoot: string): Usage {
  const trees = new Map(treesIn(dataRoot).map(tree => [tree.name, tree.directory]))
  const containers = listContainers(path.join(dataRoot, 'containers'))
  const items = containers.map(({ id, name, status }) => {
    const tree = trees.get(id)
    const bytes = tree === undefined ? 0 : diskBytes(tree)
    return { id, name, bytes, sharedBytes: 0, users: [status] }
  })
  return {
    type: 'containers',
    count: items.length,
    active: items.filter(item => !isOver(item)).length,
    bytes: sum(items.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(items.filter(isOver).map(({ bytes }) => bytes)),
    items,
  }
}

function volumeUsage(dataRoot: string): Usage {
  const containers = listContainers(path.join(dataRoot, 'containers'))
  const items = openVolumes(path.join(dataRoot, 'volumes'))
    .list()
    .map(({ name, directory }) => ({
      id: name,
      name,
      bytes: diskBytes(directory),
      sharedBytes: 0,
      users: containers
        .filter(({ volumes }) => volumes.some(volume => volume.name === name))
        .map(container => container.name),
    }))
  const unused = items.filter(({ users }) => users.length === 0)
  return {
    type: 'volumes',
    count: items.length,
    active: items.length - unused.length,
    bytes: sum(items.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(unused.map(({ bytes }) => bytes)),
    items,
  }
}

/** Its status stands for what uses it. */
function isOver({ users }: UsedRoom): boolean {
  return users.some(status => status !== 'running' && status !== 'paused')
}

const treeForm = /^[0-9a-f]{8,128}$/

/** Trees in the directory of each way of keeping them. */
function treesIn(dataRoot: string): { readonly name: string; readonly directory: string }[] {
  const root = path.join(dataRoot, 'snapshots')
  return entriesOf(root).flatMap(driver =>
    entriesOf(path.join(root, driver))
      .filter(name => treeForm.test(name))
      .map(name => ({ name, directory: path.join(root, driver, name) })),
  )
}

/** Unpacked layers and results of build steps; those of containers are counted with them. */
function treeUsage(dataRoot: string, needed: ReadonlySet<string>): Usage {
  const containers = new Set(entriesOf(path.join(dataRoot, 'containers')))
  const items = treesIn(dataRoot)
    .filter(({ name }) => !containers.has(name))
    .map(({ name, directory }) => ({
      id: name,
      name: '',
      bytes: diskBytes(directory),
      sharedBytes: 0,
      users: needed.has(name) ? ['image'] : [],
    }))
  const loose = items.filter(({ users }) => users.length === 0)
  return {
    type: 'trees',
    count: items.length,
    active: items.length - loose.length,
    bytes: sum(items.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(loose.map(({ bytes }) => bytes)),
    items,
  }
}

async function mountUsage({ dataRoot, signal }: CommandContext): Promise<Usage> {
  const mounts = await listCacheMounts(dataRoot, signal)
  const items = mounts.map(({ name, id, bytes, inUse }) => ({
    id: name,
    name: id,
    bytes,
    sharedBytes: 0,
    users: inUse ? ['build'] : [],
  }))
  return {
    type: 'cache mounts',
    count: items.length,
    active: mounts.filter(({ inUse }) => inUse).length,
    bytes: sum(items.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(mounts.filter(({ inUse }) => !inUse).map(({ bytes }) => bytes)),
    items,
  }
}

/** Records, downloads and whatever else is beside the cache mounts. */
function cacheUsage(directory: string): Usage {
  const items = entriesOf(directory)
    .filter(name => name !== 'mounts')
    .map(name => ({
      id: name,
      name,
      bytes: diskBytes(path.join(directory, name)),
      sharedBytes: 0,
      users: [],
    }))
  const bytes = sum(items.map(item => item.bytes))
  return { type: 'cache', count: items.length, active: 0, bytes, reclaimableBytes: bytes, items }
}

function* sizesIn(directory: string): Generator<number> {
  for (const name of entriesOf(directory))
    yield statSync(path.join(directory, name), { throwIfNoEntry: false })?.size ?? 0
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

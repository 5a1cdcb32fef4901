// `kauri df`: what takes the room, and what of it could go.

import { lstatSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { listCacheMounts } from '../../build/cache-mount-collection.ts'
import { hasErrno } from '../../core/errors.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { childrenOf } from '../../store/children.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { neededTrees } from '../kept-trees.ts'
import { openStore } from '../open-store.ts'
import { tableLines } from '../table.ts'

interface Usage {
  readonly type: string
  readonly count: number
  /** Bytes on disk. */
  readonly bytes: number
  /** Bytes that no image and no container needs. */
  readonly reclaimableBytes: number
}

export const command: CommandSpec = {
  name: 'df',
  summary: 'Show what takes the room, and what sharing saves',
  details: [
    'Images are blobs, compressed and each stored once; trees are unpacked layers, results of build steps and what containers wrote. What is reclaimable goes with kauri gc, or with the images and builds that it belongs to.',
  ],
  options: [],
  async run({ context }) {
    const store = openStore(context)
    const { usage: images, sharedBytes } = await imageUsage(store)
    const needed = await neededTrees(store, context.dataRoot)
    const usages = [
      images,
      treeUsage(path.join(context.dataRoot, 'snapshots'), needed),
      await mountUsage(context),
      cacheUsage(path.join(context.dataRoot, 'cache')),
    ]
    const rows = usages.map(({ type, count, bytes, reclaimableBytes }) => [
      type,
      String(count),
      humanSize(bytes),
      humanSize(reclaimableBytes),
    ])
    for (const line of tableLines(['TYPE', 'COUNT', 'SIZE', 'RECLAIMABLE'], rows))
      context.print(line)
    context.print(`shared between images: ${humanSize(sharedBytes)}`)
    context.printJson({ usages, sharedBytes })
    return 0
  },
}

async function imageUsage(
  store: DiskStore,
): Promise<{ readonly usage: Usage; readonly sharedBytes: number }> {
  const images = new Map(
    (await store.listEntries()).map(({ descriptor }) => [descriptor.digest, descriptor]),
  )
  const sizes = new Map<string, number>()
  let summedBytes = 0
  for (const descriptor of images.values()) {
    const own = await blobsOf(store, descriptor)
    for (const [digest, size] of own) {
      sizes.set(digest, size)
      summedBytes += size
    }
  }
  const neededBytes = sum(sizes.values())
  const bytes = sum(sizesIn(path.join(store.root, 'blobs', 'sha256')))
  return {
    usage: { type: 'images', count: images.size, bytes, reclaimableBytes: bytes - neededBytes },
    sharedBytes: summedBytes - neededBytes,
  }
}

/** Stored blobs of an image, with their sizes on disk. */
async function blobsOf(store: DiskStore, root: Descriptor): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  const waiting = [root]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const size = statSync(store.blobPath(next.digest), { throwIfNoEntry: false })?.size
    if (size === undefined || found.has(next.digest)) continue
    found.set(next.digest, size)
    waiting.push(...(await childrenOf(store, next)).map(({ descriptor }) => descriptor))
  }
  return found
}

const treeForm = /^[0-9a-f]{8,128}$/

function treeUsage(directory: string, needed: ReadonlySet<string>): Usage {
  // A directory for each way of keeping trees.
  const sizes = namesIn(directory).flatMap(driver => {
    const trees = namesIn(path.join(directory, driver)).filter(name => treeForm.test(name))
    return trees.map(name => ({ name, bytes: sum(diskBytes(path.join(directory, driver, name))) }))
  })
  return {
    type: 'trees',
    count: sizes.length,
    bytes: sum(sizes.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(sizes.filter(({ name }) => !needed.has(name)).map(({ bytes }) => bytes)),
  }
}

async function mountUsage({ dataRoot, signal }: CommandContext): Promise<Usage> {
  const mounts = await listCacheMounts(dataRoot, signal)
  return {
    type: 'cache mounts',
    count: mounts.length,
    bytes: sum(mounts.map(({ bytes }) => bytes)),
    reclaimableBytes: sum(mounts.filter(({ inUse }) => !inUse).map(({ bytes }) => bytes)),
  }
}

/** Records, downloads and whatever else is beside the cache mounts. */
function cacheUsage(directory: string): Usage {
  const names = namesIn(directory).filter(name => name !== 'mounts')
  const bytes = sum(names.map(name => sum(diskBytes(path.join(directory, name)))))
  return { type: 'cache', count: names.length, bytes, reclaimableBytes: bytes }
}

/** Bytes that the entries below a directory take, each inode once. */
function* diskBytes(directory: string, seen = new Set<number>()): Generator<number> {
  for (const name of namesIn(directory)) {
    const file = path.join(directory, name)
    const stats = lstatSync(file, { throwIfNoEntry: false })
    if (stats === undefined || seen.has(stats.ino)) continue
    seen.add(stats.ino)
    yield stats.blocks * 512
    if (stats.isDirectory()) yield* diskBytes(file, seen)
  }
}

function* sizesIn(directory: string): Generator<number> {
  for (const name of namesIn(directory))
    yield statSync(path.join(directory, name), { throwIfNoEntry: false })?.size ?? 0
}

function sum(values: Iterable<number>): number {
  let total = 0
  for (const value of values) total += value
  return total
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return []
    throw error
  }
}

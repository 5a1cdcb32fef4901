// Layers to snapshots: each stack of layers is a snapshot named by its chain ID, so images that share layers share them
// on disk. Bytes are checked while they are unpacked, and nothing gets a name before blob digest and diff ID are right.

import { ignoreEvents, inStep } from '../core/events.ts'
import { chainIdsOf, hexOf } from '../oci/digest.ts'
import { type SnapshotId, type Snapshotter, snapshotId } from './rootfs.ts'
import type { StoredLayer, UnpackOptions } from './unpack-layer.ts'

/** A layer and the snapshot that it and those below it make. */
interface ChainLink extends StoredLayer {
  readonly id: SnapshotId
}

/**
 * The snapshot of an image's layers, bottom first; makes what is missing. Processes that unpack the same layers wait for
 * each other. Undefined for an image without layers.
 * @throws BLOB_CORRUPT, CHECKSUM_MISMATCH for a wrong diff ID, ARCHIVE_INVALID, DISK_FULL
 */
export async function unpackImage(
  { layers }: { readonly layers: readonly StoredLayer[] },
  options: UnpackOptions,
): Promise<SnapshotId | undefined> {
  const { snapshotter, emit = ignoreEvents } = options
  const chainIds = chainIdsOf(layers.map(({ diffId }) => diffId))
  const links = layers.flatMap((layer, index): ChainLink[] => {
    const chainId = chainIds[index]
    return chainId === undefined ? [] : [{ ...layer, id: snapshotId(hexOf(chainId)) }]
  })
  const top = links.at(-1)?.id
  if (top === undefined || (await snapshotter.findSnapshot(top)) !== undefined) return top
  const title = `unpack ${links.length} layer${links.length === 1 ? '' : 's'}`
  return await inStep(emit, { id: `unpack ${top}`, title }, async () => {
    const split = await splitLinks(links, snapshotter)
    const { below: ground, groups } = groupsOf(links, split, snapshotter)
    let below = ground
    for (const group of groups) below = await unpackGroup(group, below, options)
    return below
  })
}

/** The highest snapshot that is there already, and what has to be unpacked onto it. */
interface SplitLinks {
  readonly present: SnapshotId | undefined
  readonly missing: readonly ChainLink[]
}

async function splitLinks(
  links: readonly ChainLink[],
  snapshotter: Snapshotter,
): Promise<SplitLinks> {
  for (const [index, { id }] of [...links.entries()].toReversed())
    if ((await snapshotter.findSnapshot(id)) !== undefined)
      return { present: id, missing: links.slice(index + 1) }
  return { present: undefined, missing: links }
}

/** Layers that become one snapshot each, and what the first of them stands on. */
interface Grouped {
  readonly below: SnapshotId | undefined
  readonly groups: readonly (readonly ChainLink[])[]
}

/**
 * Each layer is a snapshot of its own, but where every snapshot is a whole copy only the last is worth one, and where too many
 * would stand on one another the lowest missing ones become one. If those are too few, layers that are there already are
 * unpacked once more with them.
 */
function groupsOf(
  links: readonly ChainLink[],
  { present, missing }: SplitLinks,
  snapshotter: Snapshotter,
): Grouped {
  if (snapshotter.name === 'copy') return { below: present, groups: [missing] }
  const stack = present === undefined ? [] : [...snapshotter.chain(present)]
  let above = missing
  let tooMany = stack.length + above.length - (snapshotter.mostStacked ?? Number.POSITIVE_INFINITY)
  while (tooMany >= above.length && stack.length > 0) {
    stack.shift()
    const below = links.findIndex(({ id }) => id === stack[0]?.id)
    above = links.slice(below + 1)
    tooMany = stack.length + above.length - (snapshotter.mostStacked ?? 0)
  }
  const merged = Math.max(0, tooMany) + 1
  const groups = [above.slice(0, merged), ...above.slice(merged).map(link => [link])]
  return { below: stack[0]?.id, groups: groups.filter(({ length }) => length > 0) }
}

async function unpackGroup(
  group: readonly ChainLink[],
  below: SnapshotId | undefined,
  options: UnpackOptions,
): Promise<SnapshotId | undefined> {
  const { snapshotter, signal } = options
  const id = group.at(-1)?.id
  if (id === undefined) return below
  const unpack = async (): Promise<void> => {
    if ((await snapshotter.findSnapshot(id)) !== undefined) return
    await using rootfs = await snapshotter.prepare(below, { signal })
    // Loaded now: a container whose image is unpacked already starts without reading this code.
    const { unpackLayer } = await import('./unpack-layer.ts')
    for (const layer of group)
      await unpackLayer(layer, rootfs, { ...options, isMerged: group.length > 1 })
    await snapshotter.commit(rootfs, id)
  }
  await snapshotter.whileMaking(id, unpack, signal)
  return id
}

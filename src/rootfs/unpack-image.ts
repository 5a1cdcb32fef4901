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
    const { present, missing } = await splitLinks(links, snapshotter)
    let below = present
    for (const group of groupsOf(missing, snapshotter))
      below = await unpackGroup(group, below, options)
    return below
  })
}

/** The highest snapshot that is there already, and what has to be unpacked onto it. */
async function splitLinks(
  links: readonly ChainLink[],
  snapshotter: Snapshotter,
): Promise<{ readonly present: SnapshotId | undefined; readonly missing: readonly ChainLink[] }> {
  for (const [index, { id }] of [...links.entries()].toReversed())
    if ((await snapshotter.findSnapshot(id)) !== undefined)
      return { present: id, missing: links.slice(index + 1) }
  return { present: undefined, missing: links }
}

/** Layers that become one snapshot: each its own, but where every snapshot is a whole copy only the last is worth one. */
function groupsOf(links: readonly ChainLink[], { name }: Snapshotter): (readonly ChainLink[])[] {
  return name === 'copy' ? [links] : links.map(link => [link])
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
    for (const layer of group) await unpackLayer(layer, rootfs, options)
    await snapshotter.commit(rootfs, id)
  }
  await snapshotter.whileMaking(id, unpack, signal)
  return id
}

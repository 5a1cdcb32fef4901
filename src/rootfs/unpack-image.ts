// Layers to snapshots: each stack of layers is a snapshot named by its chain ID, so images that share layers share them
// on disk. Bytes are checked while they are unpacked, and nothing gets a name before blob digest and diff ID are right.

import { closeSync, constants, openSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { asDiskFull } from '../core/atomic-file.ts'
import { KauriError } from '../core/errors.ts'
import { type Emit, ignoreEvents, inStep } from '../core/events.ts'
import type { ApplyOptions } from '../layer/apply-options.ts'
import { applyWhilePassing } from '../layer/apply-tar.ts'
import { decompress } from '../layer/decompress.ts'
import type { ArchiveLimits } from '../layer/layer.ts'
import { oPath } from '../native/in-root.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { chainIdsOf, createDigester, type DiffId, hexOf } from '../oci/digest.ts'
import { type Rootfs, type SnapshotId, type Snapshotter, snapshotId } from './rootfs.ts'

/** A layer whose stored bytes can be read; `open` gives a stream that verifies them against the descriptor. */
export interface StoredLayer {
  readonly descriptor: Descriptor
  readonly diffId: DiffId
  open(): Promise<Readable>
}

export interface UnpackOptions {
  readonly snapshotter: Snapshotter
  readonly limits?: ArchiveLimits
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
}

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
    for (const link of group) await unpackLayer(link, rootfs, options)
    await snapshotter.commit(rootfs, id)
  }
  await snapshotter.whileMaking(id, unpack, signal)
  return id
}

async function unpackLayer(link: ChainLink, rootfs: Rootfs, options: UnpackOptions): Promise<void> {
  try {
    await (rootfs.mount.kind === 'overlay' && rootfs.parent !== undefined
      ? applyToUpper(link, rootfs.mount.upper ?? '', rootfs.parent, options)
      : applyToTree(link, rootfs, options))
  } catch (error) {
    throw asDiskFull(error, `layer ${link.descriptor.digest}`)
  }
}

async function applyToUpper(
  link: ChainLink,
  upper: string,
  parent: SnapshotId,
  options: UnpackOptions,
): Promise<void> {
  using below = options.snapshotter.open(parent)
  const upperFd = openSync(upper, oPath | constants.O_DIRECTORY)
  try {
    await applyLayer(link, upperFd, { ...options, whiteouts: 'overlay', below: below.fd })
  } finally {
    closeSync(upperFd)
  }
}

async function applyToTree(link: ChainLink, rootfs: Rootfs, options: UnpackOptions): Promise<void> {
  using tree = rootfs.open()
  await applyLayer(link, tree.fd, { ...options, whiteouts: 'delete' })
}

type LayerOptions = Omit<UnpackOptions, 'snapshotter'> & Pick<ApplyOptions, 'whiteouts' | 'below'>

async function applyLayer(link: ChainLink, rootFd: number, options: LayerOptions): Promise<void> {
  const name = `layer ${link.descriptor.digest}`
  const { bytes } = await decompress(await link.open(), { ...options, name })
  const digester = createDigester()
  for await (const chunk of applyWhilePassing(bytes, rootFd, {
    ...options,
    name,
    ownership: 'archive',
  }))
    digester.update(chunk)
  const actual = digester.digest()
  if (actual !== link.diffId)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `${name} unpacks to ${actual}, the image says ${link.diffId}`,
    )
}

// One layer onto a tree, checked against blob digest and diff ID while its bytes pass. An overlay's upper directory is
// written as such, with its marks, so nothing is mounted for it.

import { closeSync, constants, openSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { asDiskFull } from '../core/atomic-file.ts'
import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { ApplyOptions } from '../layer/apply-options.ts'
import { applyWhilePassing } from '../layer/apply-tar.ts'
import { decompress } from '../layer/decompress.ts'
import type { ArchiveLimits } from '../layer/layer.ts'
import { oPath } from '../native/in-root.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type DiffId } from '../oci/digest.ts'
import type { Rootfs, SnapshotId, Snapshotter } from './rootfs.ts'

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

/** `isMerged`: the tree gets other layers, too, so this one finds more than what is below. */
type UnpackLayerOptions = UnpackOptions & { readonly isMerged?: boolean }

/** Unpacks one layer onto a tree that stands on the layers below it. @throws BLOB_CORRUPT, CHECKSUM_MISMATCH, ARCHIVE_INVALID, DISK_FULL */
export async function unpackLayer(
  layer: StoredLayer,
  rootfs: Rootfs,
  { isMerged = false, ...options }: UnpackLayerOptions,
): Promise<void> {
  try {
    await (rootfs.mount.kind === 'overlay' && rootfs.parent !== undefined && !isMerged
      ? applyToUpper(layer, rootfs.mount.upper ?? '', rootfs.parent, options)
      : applyToTree(layer, rootfs, options))
  } catch (error) {
    throw asDiskFull(error, `layer ${layer.descriptor.digest}`)
  }
}

async function applyToUpper(
  layer: StoredLayer,
  upper: string,
  parent: SnapshotId,
  options: UnpackOptions,
): Promise<void> {
  using below = options.snapshotter.open(parent)
  const upperFd = openSync(upper, oPath | constants.O_DIRECTORY)
  try {
    await applyLayer(layer, upperFd, { ...options, whiteouts: 'overlay', below: below.fd })
  } finally {
    closeSync(upperFd)
  }
}

async function applyToTree(
  layer: StoredLayer,
  rootfs: Rootfs,
  options: UnpackOptions,
): Promise<void> {
  using tree = rootfs.open()
  await applyLayer(layer, tree.fd, { ...options, whiteouts: 'delete' })
}

type LayerOptions = Omit<UnpackOptions, 'snapshotter'> & Pick<ApplyOptions, 'whiteouts' | 'below'>

async function applyLayer(
  layer: StoredLayer,
  rootFd: number,
  options: LayerOptions,
): Promise<void> {
  const name = `layer ${layer.descriptor.digest}`
  const { bytes } = await decompress(await layer.open(), { ...options, name })
  const digester = createDigester()
  for await (const chunk of applyWhilePassing(bytes, rootFd, {
    ...options,
    name,
    ownership: 'archive',
  }))
    digester.update(chunk)
  const actual = digester.digest()
  if (actual !== layer.diffId)
    throw new KauriError(
      'CHECKSUM_MISMATCH',
      `${name} unpacks to ${actual}, the image says ${layer.diffId}`,
    )
}

// `kauri export`: the files of a container that ended, or of an image, as one root file system tar.

import path from 'node:path'
import { getContainer, sweepContainers } from '../../container/container-records.ts'
import { KauriError } from '../../core/errors.ts'
import { getImage } from '../../image/find-image.ts'
import { openImage } from '../../image/open-image.ts'
import { packTree } from '../../layer/pack-tree.ts'
import { parsePlatform } from '../../oci/platform.ts'
import { type SnapshotId, type Snapshotter, snapshotId } from '../../rootfs/rootfs.ts'
import { unpackImage } from '../../rootfs/unpack-image.ts'
import { writeArchiveTo } from '../archive-sink.ts'
import type { CommandContext, CommandSpec, ParsedOptions } from '../command.ts'
import { requireRoot } from '../host-needs.ts'
import { openStore } from '../open-store.ts'
import { openTrees } from '../open-trees.ts'

export const command: CommandSpec = {
  name: 'export',
  summary: 'Write the files of a container or an image as one tar',
  details: [
    'Of a container what is in its root file system, without its volumes; it must have ended. Of an image all its layers as one tree.',
  ],
  operands: '[CONTAINER]',
  maxOperands: 1,
  options: [
    { long: 'image', value: 'NAME', summary: 'Take an image and no container' },
    { long: 'output', short: 'o', value: 'FILE', summary: 'Write this file, not standard output' },
    { long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the image' },
  ],
  async run({ options, positionals: [container], context }) {
    requireRoot('opening a root file system')
    const imageName = options.text('image')
    if ((imageName === undefined) === (container === undefined))
      throw new KauriError('USAGE', 'export takes either a container or --image NAME')
    const snapshotter = await openTrees(context)
    const id =
      imageName === undefined
        ? treeOfContainer(container ?? '', context)
        : await treeOfImage(imageName, { options, context, snapshotter })
    await writeTree({ id, snapshotter, output: options.text('output') }, context)
    return 0
  },
}

function treeOfContainer(name: string, { dataRoot }: CommandContext): SnapshotId {
  const root = path.join(dataRoot, 'containers')
  sweepContainers(root)
  const { id, status } = getContainer(root, name)
  if (status === 'running')
    throw new KauriError('LOCK_BUSY', `the container ${name} is running`, {
      hint: 'end it first: what is written meanwhile would be in the tar by half',
    })
  return snapshotId(id)
}

interface ImageParts {
  readonly options: ParsedOptions
  readonly context: CommandContext
  readonly snapshotter: Snapshotter
}

async function treeOfImage(
  name: string,
  { options, context, snapshotter }: ImageParts,
): Promise<SnapshotId> {
  const store = openStore(context)
  const platform = options.text('platform')
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const image = await openImage(store, (await getImage(store, name)).descriptor, wanted)
  const { signal, emit } = context
  const id = await unpackImage(image, { snapshotter, signal, emit })
  if (id === undefined) throw new KauriError('UNSUPPORTED', `the image ${name} has no layers`)
  return id
}

interface Tree {
  readonly id: SnapshotId
  readonly snapshotter: Snapshotter
  readonly output: string | undefined
}

async function writeTree(
  { id, snapshotter, output }: Tree,
  context: CommandContext,
): Promise<void> {
  using tree = snapshotter.open(id)
  const tar = packTree({ kind: 'tree', path: tree.path }, { signal: context.signal })
  await writeArchiveTo({ output, what: 'tar' }, tar, context)
}

// `kauri export`: the files of a container, or of an image, as one root file system tar.

import { KauriError } from '../../core/errors.ts'
import { getImage } from '../../image/find-image.ts'
import { openImage } from '../../image/open-image.ts'
import { packTree } from '../../layer/pack-tree.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { SnapshotId, Snapshotter } from '../../rootfs/rootfs.ts'
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
    'Of a container what is in its root file system, without what is mounted there; one that runs is held meanwhile. Of an image all its layers as one tree.',
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
    const output = options.text('output')
    if (imageName === undefined) {
      const { exportContainer } = await import('../export-container.ts')
      await exportContainer(container ?? '', output, context)
      return 0
    }
    const snapshotter = await openTrees(context)
    const id = await treeOfImage(imageName, { options, context, snapshotter })
    await writeTree({ id, snapshotter, output }, context)
    return 0
  },
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

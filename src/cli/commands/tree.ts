// `kauri tree`: an image layer by layer: what each adds, hides and wastes.

import { getImage } from '../../image/find-image.ts'
import type { LayerUsage } from '../../image/layer-usage.ts'
import { openImage } from '../../image/open-image.ts'
import { hexOf, parseDigest } from '../../oci/digest.ts'
import { parsePlatform } from '../../oci/platform.ts'
import type { CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { openStore } from '../open-store.ts'
import { printable } from '../printable.ts'
import { tableLines } from '../table.ts'

export const command: CommandSpec = {
  name: 'tree',
  summary: 'Show what each layer of an image adds, hides and wastes',
  details: [
    'HIDES are bytes of the layers below that a layer replaces or removes; WASTES are the bytes of a layer that a later one hides: they are stored and pulled, and nobody sees them. Layers stand bottom first.',
  ],
  operands: 'NAME',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'platform', value: 'PLATFORM', summary: 'Take this platform of the image' },
    { long: 'files', summary: 'Name the wasted files too, largest first' },
  ],
  async run({ options, positionals: [name = ''], context }) {
    const store = openStore(context)
    const platform = options.text('platform')
    const wanted = platform === undefined ? undefined : parsePlatform(platform)
    const image = await openImage(store, (await getImage(store, name)).descriptor, wanted)
    const { measureLayers } = await import('../../image/layer-usage.ts')
    const { layers, wasted } = await measureLayers(image, context.signal)
    for (const line of layerTable(layers)) context.print(line)
    if (options.flag('files'))
      for (const { path, bytes, writtenBy, hiddenBy } of wasted)
        context.print(
          `${humanSize(bytes)} ${printable(path)} of layer ${writtenBy + 1}, hidden by ${hiddenBy + 1}`,
        )
    context.printJson({ layers, wasted })
    return 0
  },
}

const widestCommand = 45

function layerTable(layers: readonly LayerUsage[]): string[] {
  const headings = ['LAYER', 'FILES', 'ADDS', 'HIDES', 'WASTES', 'CREATED BY']
  const rows = layers.map(layer => [
    hexOf(parseDigest(layer.diffId)).slice(0, 12),
    `+${layer.added} ~${layer.changed} -${layer.removed}`,
    humanSize(layer.addedBytes),
    humanSize(layer.hiddenBytes),
    humanSize(layer.wastedBytes),
    printable(layer.createdBy).replaceAll('\n', ' ').slice(0, widestCommand),
  ])
  return tableLines(headings, rows)
}

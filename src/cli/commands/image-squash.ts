// `kauri image squash`: many layers become one.

import { KauriError } from '../../core/errors.ts'
import { inStep } from '../../core/events.ts'
import { squashed, wholePartsOf } from '../../image/edit-image.ts'
import type { CommandSpec } from '../command.ts'
import { editLine, editOptions, keepEdited, openEdited } from '../edited-image.ts'
import { requireRoot } from '../host-needs.ts'
import { openStore } from '../open-store.ts'
import { openTrees } from '../open-trees.ts'

export const command: CommandSpec = {
  name: 'image squash',
  summary: 'Make one layer of many',
  details: [
    'All layers become one without what later ones hide; with --keep N the lowest N stay as they are, so that images on the same base still share it. Prints the digest of the new image.',
  ],
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'keep', value: 'N', summary: 'Leave the lowest N layers alone (default: 0)' },
    ...editOptions,
  ],
  async run({ options, positionals: [name = ''], context }) {
    requireRoot('unpacking layers')
    const store = openStore(context)
    const { image, name: shown } = await openEdited(store, name, options)
    const keep = readKeep(options.text('keep') ?? '0', image.layers.length)
    const { squashLayers } = await import('../../build/squash-layers.ts')
    const snapshotter = await openTrees(context)
    const { signal, emit } = context
    const step = { id: 'squash', title: `squash ${image.layers.length - keep} layers of ${shown}` }
    const layer = await inStep(emit, step, () =>
      squashLayers(image, keep, { store, snapshotter, signal, emit }),
    )
    const edit = editLine(`kauri image squash ${shown}`, options)
    const parts = await wholePartsOf(store, image)
    await keepEdited(store, squashed(parts, layer, { keep, edit }), { options, context })
    return 0
  },
}

function readKeep(text: string, layers: number): number {
  const keep = Number(text)
  if (!/^\d{1,4}$/.test(text) || keep >= layers)
    throw new KauriError('USAGE', `--keep takes a number below ${layers}, the layers there are`)
  return keep
}

// `kauri manifest add`: another image for an index.

import { addToIndex, annotateInIndex } from '../../image/edit-index.ts'
import { getImage } from '../../image/find-image.ts'
import type { CommandSpec } from '../command.ts'
import { keepIndex, openNamedIndex } from '../manifest-commands.ts'
import { noteOf, noteOptions } from '../manifest-note.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'manifest add',
  summary: 'Add an image to an index',
  details: [
    'An image for the same platform takes the place of the one that is there. Of an index every image that is stored is added. Prints the digest of the new index.',
  ],
  operands: 'NAME IMAGE',
  minOperands: 2,
  maxOperands: 2,
  options: noteOptions,
  async run({ options, positionals: [name = '', image = ''], context }) {
    const store = openStore(context)
    const { reference, index } = await openNamedIndex(store, name)
    const { descriptor } = await getImage(store, image)
    const added = await addToIndex(store, index, descriptor)
    const note = noteOf(options)
    const noted = note === undefined ? added : annotateInIndex(added, descriptor, note)
    await keepIndex(store, { reference, index: noted }, context)
    return 0
  },
}

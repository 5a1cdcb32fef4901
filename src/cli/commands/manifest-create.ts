// `kauri manifest create`: one name for the images of several platforms.

import { addToIndex, annotateIndex, newIndex } from '../../image/edit-index.ts'
import { getImage } from '../../image/find-image.ts'
import type { CommandSpec } from '../command.ts'
import { keepIndex, newIndexName } from '../manifest-commands.ts'
import { annotationsOf } from '../manifest-note.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'manifest create',
  summary: 'Make an index of images for several platforms',
  details: [
    'Each image is listed under the platform of its configuration. Prints the digest of the index.',
  ],
  operands: 'NAME [IMAGE...]',
  minOperands: 1,
  options: [
    { long: 'amend', short: 'a', summary: 'Replace an image that has the name' },
    {
      long: 'annotation',
      value: 'NAME=VALUE',
      repeat: true,
      summary: 'Annotation of the index itself',
    },
  ],
  async run({ options, positionals: [name = '', ...images], context }) {
    const store = openStore(context)
    const reference = await newIndexName(store, name, options)
    const annotations = annotationsOf(options)
    let index =
      Object.keys(annotations).length === 0 ? newIndex : annotateIndex(newIndex, annotations)
    for (const image of images)
      index = await addToIndex(store, index, (await getImage(store, image)).descriptor)
    await keepIndex(store, { reference, index }, context)
    return 0
  },
}

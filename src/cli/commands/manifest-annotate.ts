// `kauri manifest annotate`: changes what an index says of one of its images.

import { KauriError } from '../../core/errors.ts'
import { annotateInIndex } from '../../image/edit-index.ts'
import type { CommandSpec } from '../command.ts'
import { findMember, keepIndex, openNamedIndex } from '../manifest-commands.ts'
import { noteOf, noteOptions } from '../manifest-note.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'manifest annotate',
  summary: 'Change what an index says of one of its images',
  details: ['The image is named, or given by its digest. Prints the digest of the new index.'],
  operands: 'NAME IMAGE',
  minOperands: 2,
  maxOperands: 2,
  options: noteOptions,
  async run({ options, positionals: [name = '', image = ''], context }) {
    const note = noteOf(options)
    if (note === undefined)
      throw new KauriError('USAGE', 'nothing to change', {
        hint: 'give --annotation, --arch or another option',
      })
    const store = openStore(context)
    const { reference, index } = await openNamedIndex(store, name)
    const member = await findMember(store, image, index)
    await keepIndex(store, { reference, index: annotateInIndex(index, member, note) }, context)
    return 0
  },
}

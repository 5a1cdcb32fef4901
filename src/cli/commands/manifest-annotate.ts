// `kauri manifest annotate`: changes what an index says of one of its images, or of itself.

import { KauriError } from '../../core/errors.ts'
import {
  annotateIndex,
  annotateInIndex,
  type EditedIndex,
  type ImageNote,
} from '../../image/edit-index.ts'
import type { DiskStore } from '../../store/disk-store.ts'
import type { CommandSpec } from '../command.ts'
import { findMember, keepIndex, openNamedIndex } from '../manifest-commands.ts'
import { noteOf, noteOptions } from '../manifest-note.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'manifest annotate',
  summary: 'Change what an index says of one of its images',
  details: [
    'The image is named, or given by its digest; without one the annotations are those of the index itself. Prints the digest of the new index.',
  ],
  operands: 'NAME [IMAGE]',
  minOperands: 1,
  maxOperands: 2,
  options: noteOptions,
  async run({ options, positionals: [name = '', image], context }) {
    const note = noteOf(options)
    if (note === undefined)
      throw new KauriError('USAGE', 'nothing to change', {
        hint: 'give --annotation, --arch or another option',
      })
    const store = openStore(context)
    const { reference, index } = await openNamedIndex(store, name)
    const changed =
      image === undefined ? ofItself(index, note) : await ofImage(store, index, { image, note })
    await keepIndex(store, { reference, index: changed }, context)
    return 0
  },
}

function ofItself(index: EditedIndex, { platform = {}, annotations = {} }: ImageNote): EditedIndex {
  if (Object.keys(platform).length === 0) return annotateIndex(index, annotations)
  throw new KauriError('USAGE', 'an index has no platform of its own', {
    hint: 'name the image in it',
  })
}

async function ofImage(
  store: DiskStore,
  index: EditedIndex,
  { image, note }: { readonly image: string; readonly note: ImageNote },
): Promise<EditedIndex> {
  return annotateInIndex(index, await findMember(store, image, index), note)
}

// `kauri image rebase`: puts what stands on one base image onto another.

import { partsOf, rebase } from '../../image/edit-image.ts'
import type { CommandSpec } from '../command.ts'
import { editOptions, keepEdited, openEdited } from '../edited-image.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'image rebase',
  summary: 'Put what stands on one base image onto another',
  details: [
    'The layers above those of the old base are put onto the new one, as they are: nothing is run or unpacked. The configuration stays the image’s own. What the upper layers expect of the base, such as its package database, must be there in the new one too.',
  ],
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'from', value: 'IMAGE', required: true, summary: 'The base that it stands on' },
    { long: 'onto', value: 'IMAGE', required: true, summary: 'The base that it shall stand on' },
    ...editOptions.filter(({ long }) => long !== 'message'),
  ],
  async run({ options, positionals: [name = ''], context }) {
    const store = openStore(context)
    const open = async (text: string) => partsOf((await openEdited(store, text, options)).image)
    const [image, from, onto] = [
      await open(name),
      await open(options.requiredText('from')),
      await open(options.requiredText('onto')),
    ]
    await keepEdited(store, rebase(image, from, onto), { options, context })
    return 0
  },
}

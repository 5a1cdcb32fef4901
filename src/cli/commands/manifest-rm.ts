// `kauri manifest rm`: takes an image out of an index.

import { removeFromIndex } from '../../image/edit-index.ts'
import type { CommandSpec } from '../command.ts'
import { findMember, keepIndex, openNamedIndex } from '../manifest-commands.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'manifest rm',
  summary: 'Take an image out of an index',
  details: ['The image itself stays in the store. Prints the digest of the new index.'],
  operands: 'NAME IMAGE',
  minOperands: 2,
  maxOperands: 2,
  options: [],
  async run({ positionals: [name = '', image = ''], context }) {
    const store = openStore(context)
    const { reference, index } = await openNamedIndex(store, name)
    const member = await findMember(store, image, index)
    await keepIndex(store, { reference, index: removeFromIndex(index, member) }, context)
    return 0
  },
}

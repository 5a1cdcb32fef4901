// `kauri tag`: another name for an image.

import { getImage } from '../../image/find-image.ts'
import { parseReference } from '../../oci/reference.ts'
import type { CommandSpec } from '../command.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'tag',
  summary: 'Give an image another name',
  operands: 'IMAGE NAME[:TAG]',
  minOperands: 2,
  maxOperands: 2,
  options: [],
  async run({ positionals: [source = '', target = ''], context }) {
    const store = openStore(context)
    const reference = parseReference(target)
    const { descriptor } = await getImage(store, source)
    await store.tagImage(reference, descriptor)
    return 0
  },
}

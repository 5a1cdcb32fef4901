// `kauri image config`: another configuration for an image, without a build.

import { changeConfig } from '../../dockerfile/config-change.ts'
import { reconfigure, wholePartsOf } from '../../image/edit-image.ts'
import type { CommandSpec } from '../command.ts'
import { editLine, editOptions, keepEdited, openEdited } from '../edited-image.ts'
import { openStore } from '../open-store.ts'

export const command: CommandSpec = {
  name: 'image config',
  summary: 'Change how the containers of an image start, without a build',
  details: [
    'Changes are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR, as in a Dockerfile. The layers stay the same blobs. Prints the digest of the new image.',
  ],
  operands: 'IMAGE',
  minOperands: 1,
  maxOperands: 1,
  options: [
    {
      long: 'change',
      short: 'c',
      value: 'INSTRUCTION',
      repeat: true,
      required: true,
      summary: 'Set how containers start',
    },
    ...editOptions,
  ],
  async run({ options, positionals: [name = ''], context }) {
    const store = openStore(context)
    const { image } = await openEdited(store, name, options)
    const changes = options.texts('change')
    const line = editLine(changes.join(' '), options)
    const before = await wholePartsOf(store, image)
    const parts = reconfigure(before, config => changeConfig(config, changes), line)
    await keepEdited(store, parts, { options, context })
    return 0
  },
}

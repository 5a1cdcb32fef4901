// `kauri oci delete`: what a stopped container has on the host.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci delete',
  summary: 'Delete a stopped container',
  operands: 'ID|PATTERN',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'force', short: 'f', summary: 'Kill it first; it need not exist' },
    { long: 'regex', summary: 'Delete every container whose id fits a regular expression' },
  ],
  async run({ options, positionals: [word = ''], host }) {
    const { deleteContainer, idsLike } = await import('../../oci-runtime/end-container.ts')
    const ids = options.flag('regex') ? idsLike(word, host) : [word]
    for (const id of ids) await deleteContainer(id, options.flag('force'), host)
    return 0
  },
})

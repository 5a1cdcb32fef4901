// `kauri oci delete`: what a stopped container has on the host.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci delete',
  summary: 'Delete a stopped container',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [{ long: 'force', short: 'f', summary: 'Kill it first; it need not exist' }],
  async run({ options, positionals: [id = ''], host }) {
    const { deleteContainer } = await import('../../oci-runtime/end-container.ts')
    await deleteContainer(id, options.flag('force'), host)
    return 0
  },
})

// `kauri oci start`: the program of a created container.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci start',
  summary: 'Start the program of a created container',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [],
  async run({ positionals: [id = ''], host }) {
    const { startContainer } = await import('../../oci-runtime/start-container.ts')
    await startContainer(id, host)
    return 0
  },
})

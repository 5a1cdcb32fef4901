// `kauri wait`: until containers end.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'wait',
  summary: 'Wait until containers end and print their exit codes',
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [],
  async run(input) {
    const { waitCommand } = await import('../wait-command.ts')
    return await waitCommand(input)
  },
}

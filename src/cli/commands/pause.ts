// `kauri pause`: stops every process of containers where it is.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'pause',
  summary: 'Hold all processes of containers',
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [],
  async run(input) {
    const { pauseCommand } = await import('../signal-commands.ts')
    return await pauseCommand(input)
  },
}

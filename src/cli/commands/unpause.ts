// `kauri unpause`: lets the processes of paused containers go on.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'unpause',
  summary: 'Let the processes of paused containers go on',
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [],
  async run(input) {
    const { unpauseCommand } = await import('../signal-commands.ts')
    return await unpauseCommand(input)
  },
}

// `kauri kill`: sends a signal to containers.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'kill',
  summary: 'Send a signal to running containers',
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [{ long: 'signal', short: 's', value: 'SIGNAL', summary: 'Signal, KILL by default' }],
  async run(input) {
    const { killCommand } = await import('../signal-commands.ts')
    return await killCommand(input)
  },
}

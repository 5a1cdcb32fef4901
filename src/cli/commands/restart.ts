// `kauri restart`: stops containers and starts them again.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'restart',
  summary: 'Restart containers',
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [
    { long: 'signal', short: 's', value: 'SIGNAL', summary: 'Signal to send' },
    { long: 'time', short: 't', value: 'SECONDS', summary: 'Time to stop; -1: any' },
    { long: 'timeout', value: 'SECONDS', summary: 'The same as --time' },
  ],
  async run(input) {
    const { restartCommand } = await import('../start-command.ts')
    return await restartCommand(input)
  },
}

// `kauri stop`: ends containers, politely at first.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'stop',
  summary: 'Stop running containers',
  details: [
    'Sends the stop signal, SIGTERM unless the container or its image say otherwise, and SIGKILL after 10 seconds or what they say.',
  ],
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [
    { long: 'signal', short: 's', value: 'SIGNAL', summary: 'Signal to send' },
    { long: 'time', short: 't', value: 'SECONDS', summary: 'Time to stop; -1: any' },
    { long: 'timeout', value: 'SECONDS', summary: 'The same as --time' },
  ],
  async run(input) {
    const { stopCommand } = await import('../signal-commands.ts')
    return await stopCommand(input)
  },
}

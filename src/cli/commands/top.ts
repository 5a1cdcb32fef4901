// `kauri top`: the processes of a container.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'top',
  summary: 'Show the processes of a running container',
  details: ['Options behind the container are those of ps(1), -ef by default.'],
  operands: 'CONTAINER [PS-OPTION...]',
  minOperands: 1,
  stopsAtOperand: true,
  options: [],
  async run(input) {
    const { topCommand } = await import('../top-command.ts')
    return await topCommand(input)
  },
}

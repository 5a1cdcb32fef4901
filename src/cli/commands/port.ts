// `kauri port`: which ports of the host lead to a container.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'port',
  summary: 'List the published ports of a container',
  operands: 'CONTAINER [PORT[/PROTOCOL]]',
  minOperands: 1,
  maxOperands: 2,
  options: [],
  async run(input) {
    const { portCommand } = await import('../port-command.ts')
    return await portCommand(input)
  },
}

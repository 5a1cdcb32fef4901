// `kauri attach`: standard streams of a running container.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'attach',
  summary: 'Attach standard streams to a running container',
  details: ['Ends with the container and its exit code, or when the keys for it are typed.'],
  operands: 'CONTAINER',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'detach-keys', value: 'KEYS', summary: 'Keys that end this, ctrl-p,ctrl-q by default' },
    { long: 'no-stdin', summary: 'Leave standard input alone' },
    {
      long: 'sig-proxy',
      value: 'BOOLEAN',
      summary: 'Pass signals on to the container, true by default',
    },
  ],
  async run(input) {
    const { attachCommand } = await import('../attach-command.ts')
    return await attachCommand(input)
  },
}

// `kauri start`: runs containers again that were made before.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'start',
  summary: 'Start containers that do not run',
  operands: 'CONTAINER...',
  minOperands: 1,
  containerExitCodes: true,
  options: [
    { long: 'attach', short: 'a', summary: 'Show its output, pass signals on, exit with its code' },
    { long: 'checkpoint', value: 'NAME', summary: 'Refused: kauri makes no checkpoints' },
    { long: 'detach-keys', value: 'KEYS', summary: 'Keys that end this, ctrl-p,ctrl-q by default' },
    { long: 'interactive', short: 'i', summary: 'Pass standard input on' },
  ],
  async run(input) {
    const { startCommand } = await import('../start-command.ts')
    return await startCommand(input)
  },
}

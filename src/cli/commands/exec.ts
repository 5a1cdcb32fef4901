// `kauri exec`: one more program in a running container.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'exec',
  summary: 'Run a command in a running container',
  details: [
    'What is run ends with this command unless -d is given; its exit code is that of this command.',
  ],
  operands: 'CONTAINER COMMAND [ARG...]',
  minOperands: 2,
  stopsAtOperand: true,
  containerExitCodes: true,
  options: [
    { long: 'detach', short: 'd', summary: 'Leave the command running' },
    { long: 'detach-keys', value: 'KEYS', summary: 'Refused: the command ends with this one' },
    { long: 'env', short: 'e', value: 'NAME[=VALUE]', repeat: true, summary: 'Set a variable' },
    { long: 'env-file', value: 'FILE', repeat: true, summary: 'Set the variables of a file' },
    { long: 'interactive', short: 'i', summary: 'Keep standard input open' },
    { long: 'privileged', summary: 'Give the command all rights' },
    { long: 'tty', short: 't', summary: 'Give the command a terminal' },
    { long: 'user', short: 'u', value: 'USER[:GROUP]', summary: 'User and group' },
    { long: 'workdir', short: 'w', value: 'DIR', summary: 'Working directory in the container' },
  ],
  async run(input) {
    const { execCommand } = await import('../exec-command.ts')
    return await execCommand(input)
  },
}

// `kauri logs`: what a container printed.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'logs',
  summary: 'Show what a container printed',
  details: [
    'A time is RFC 3339, seconds since 1970, or a duration before now. Containers that run with --rm in the foreground keep no log.',
  ],
  operands: 'CONTAINER',
  minOperands: 1,
  maxOperands: 1,
  options: [
    { long: 'details', summary: 'Show the labels and variables of --log-opt labels and env' },
    { long: 'follow', short: 'f', summary: 'Go on until the container ends' },
    { long: 'since', value: 'TIME', summary: 'Only what was printed since then' },
    { long: 'tail', short: 'n', value: 'N', summary: 'Only the last N lines, or all' },
    { long: 'timestamps', short: 't', summary: 'Show when each line was printed' },
    { long: 'until', value: 'TIME', summary: 'Only what was printed until then' },
  ],
  async run(input) {
    const { logsCommand } = await import('../logs-command.ts')
    return await logsCommand(input)
  },
}

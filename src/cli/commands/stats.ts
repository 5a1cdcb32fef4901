// `kauri stats`: what running containers use.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'stats',
  summary: 'Show what containers use, again and again',
  operands: '[CONTAINER...]',
  options: [
    { long: 'all', short: 'a', summary: 'Show those that do not run, too' },
    { long: 'format', value: 'FORMAT', summary: 'Show rows by this template' },
    { long: 'no-stream', summary: 'Show it once' },
    { long: 'no-trunc', summary: 'Show whole ids' },
  ],
  async run(input) {
    const { statsCommand } = await import('../stats-command.ts')
    return await statsCommand(input)
  },
}

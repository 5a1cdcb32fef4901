// `kauri create`: a container that `kauri start` runs.

import type { CommandSpec } from '../command.ts'
import { pullOption } from '../container-image.ts'
import { cidfileOption, runOptions } from '../run-options.ts'

export const command: CommandSpec = {
  name: 'create',
  summary: 'Make a container that does not run yet',
  details: ['Takes the options of kauri run and prints the id.'],
  operands: 'IMAGE [COMMAND] [ARG...]',
  minOperands: 1,
  stopsAtOperand: true,
  options: [...runOptions, pullOption, cidfileOption],
  async run(input) {
    const { createCommand } = await import('../create-command.ts')
    return await createCommand(input)
  },
}

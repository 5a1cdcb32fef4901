// `kauri rm`: removes containers, their trees and, where asked for, their volumes.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'rm',
  summary: 'Remove containers',
  details: ['What the containers wrote goes with them; volumes stay unless -v is given.'],
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [
    { long: 'force', short: 'f', summary: 'Kill what runs; ignore what is not there' },
    { long: 'link', short: 'l', summary: 'Refused: there are no links between containers' },
    { long: 'volumes', short: 'v', summary: 'Remove volumes of theirs that have no name, too' },
  ],
  async run(input) {
    const { removeContainers } = await import('../remove-containers.ts')
    return await removeContainers(input)
  },
}

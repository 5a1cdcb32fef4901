// `kauri container prune`: removes containers that do not run.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'container prune',
  summary: 'Remove all containers that do not run',
  options: [
    {
      long: 'filter',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'until=TIME, label=KEY[=VALUE] or label!=KEY[=VALUE]: only those',
    },
    { long: 'force', short: 'f', summary: 'Do not ask' },
  ],
  async run(input) {
    const { pruneContainers } = await import('../prune-containers.ts')
    return await pruneContainers(input)
  },
}

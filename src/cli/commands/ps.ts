// `kauri ps`: containers in docker's columns.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'ps',
  summary: 'List containers',
  details: [
    'Filters: id, name, label, exited, status, health, ancestor, before, since, volume, network, publish, expose. A format is table, table TEMPLATE, json, or a Go template.',
  ],
  options: [
    { long: 'all', short: 'a', summary: 'Show those that do not run, too' },
    {
      long: 'filter',
      short: 'f',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'Show only what fits',
    },
    { long: 'format', value: 'FORMAT', summary: 'Show rows by this template' },
    { long: 'last', short: 'n', value: 'N', summary: 'Show the last N containers in any state' },
    { long: 'latest', short: 'l', summary: 'Show the last container in any state' },
    { long: 'no-trunc', summary: 'Show whole ids and commands' },
    { long: 'size', short: 's', summary: 'Show what the containers take on the disk' },
  ],
  async run(input) {
    const { showContainers } = await import('../list-containers.ts')
    return await showContainers(input)
  },
}

// `kauri volume ls`: volumes in docker's columns.

import type { CommandSpec } from '../command.ts'
import { printListing } from '../listing.ts'
import { filteredVolumes, volumeRows } from '../volume-details.ts'
import { openVolumesHere, usersHere } from '../volume-host.ts'

export const command: CommandSpec = {
  name: 'volume ls',
  summary: 'List volumes',
  options: [
    {
      long: 'filter',
      short: 'f',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'name, driver, label, dangling',
    },
    { long: 'format', value: 'TEMPLATE', summary: 'table, json or a Go template' },
  ],
  async run({ options, context }) {
    const all = openVolumesHere(context).list()
    const chosen = filteredVolumes(all, options.texts('filter'), usersHere(context))
    const rows = volumeRows(chosen)
    context.printJson(rows)
    if (context.quiet) for (const { Name } of rows) context.print(Name)
    else
      await printListing(
        context,
        {
          headings: {
            Driver: 'DRIVER',
            Name: 'VOLUME NAME',
            Scope: 'SCOPE',
            Mountpoint: 'MOUNTPOINT',
            Labels: 'LABELS',
          },
          columns: ['Driver', 'Name'],
          rows,
        },
        options.text('format'),
      )
    return 0
  },
}

// `kauri network ls`: networks in docker's columns.

import type { CommandSpec } from '../command.ts'
import { printListing } from '../listing.ts'
import { filteredNetworks, networkRows } from '../network-details.ts'
import { openNetworksHere } from '../network-host.ts'

export const command: CommandSpec = {
  name: 'network ls',
  summary: 'List networks',
  options: [
    {
      long: 'filter',
      short: 'f',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'name, id, driver, scope, type, label, dangling',
    },
    { long: 'format', value: 'TEMPLATE', summary: 'table, json or a Go template' },
    { long: 'no-trunc', summary: 'Show whole ids' },
  ],
  async run({ options, context }) {
    const all = await filteredNetworks(openNetworksHere(context).list(), options.texts('filter'))
    const isWhole = options.flag('no-trunc')
    const rows = networkRows(all, isWhole)
    context.printJson(rows)
    if (context.quiet) for (const { ID } of rows) context.print(ID)
    else
      await printListing(
        context,
        {
          headings: {
            ID: 'NETWORK ID',
            Name: 'NAME',
            Driver: 'DRIVER',
            Scope: 'SCOPE',
            IPv4: 'IPV4',
            IPv6: 'IPV6',
            Internal: 'INTERNAL',
            Labels: 'LABELS',
            CreatedAt: 'CREATED AT',
          },
          columns: ['ID', 'Name', 'Driver', 'Scope'],
          rows,
        },
        options.text('format'),
      )
    return 0
  },
}

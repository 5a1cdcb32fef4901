// `kauri oci list`: the containers of one state directory.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'
import { tableLines } from '../table.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci list',
  summary: 'List containers',
  options: [
    {
      long: 'format',
      short: 'f',
      value: 'FORMAT',
      choices: ['table', 'json'],
      summary: 'Write a table or JSON',
    },
  ],
  async run({ options, context, host }) {
    const { listContainers, stateOf } = await import('../../oci-runtime/oci-host.ts')
    const states = listContainers(host).map(stateOf)
    context.printJson(states)
    if (options.text('format') === 'json') context.print(JSON.stringify(states))
    else if (context.quiet) for (const { id } of states) context.print(id)
    else
      for (const line of tableLines(
        ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED'],
        states.map(({ id, pid = 0, status, bundle, created }) => [
          id,
          String(pid),
          status,
          bundle,
          created,
        ]),
      ))
        context.print(line)
    return 0
  },
})

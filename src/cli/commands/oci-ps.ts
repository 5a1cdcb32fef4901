// `kauri oci ps`: processes of a container, by their ids on the host.

import type { CommandSpec } from '../command.ts'
import { ociCommand } from '../oci-command.ts'

export const command: CommandSpec = ociCommand({
  name: 'oci ps',
  summary: 'Show the processes of a container',
  operands: 'ID [PS-OPTION...]',
  minOperands: 1,
  stopsAtOperand: true,
  options: [
    {
      long: 'format',
      short: 'f',
      value: 'FORMAT',
      choices: ['table', 'json'],
      summary: 'Write a table or JSON',
    },
  ],
  async run({ options, positionals: [id = '', ...words], context, host }) {
    const { getContainer } = await import('../../oci-runtime/oci-host.ts')
    const { processLines } = await import('../../oci-runtime/process-lines.ts')
    getContainer(host, id)
    const processes = host.runtime.processes(id)
    context.printJson(processes)
    if (options.text('format') === 'json') context.print(JSON.stringify(processes))
    else for (const line of await processLines(processes, words)) context.print(line)
    return 0
  },
})

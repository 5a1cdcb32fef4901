// `kauri volume inspect`: all of a volume, in docker's form.

import type { CommandSpec } from '../command.ts'
import { volumeDetails } from '../volume-details.ts'
import { openVolumesHere } from '../volume-host.ts'

export const command: CommandSpec = {
  name: 'volume inspect',
  summary: 'Show all of a volume',
  operands: 'VOLUME...',
  minOperands: 1,
  options: [{ long: 'format', short: 'f', value: 'TEMPLATE', summary: 'json or a Go template' }],
  async run({ options, positionals, context }) {
    const volumes = openVolumesHere(context)
    const shown = positionals.map(name => volumeDetails(volumes.get(name)))
    const format = options.text('format')
    context.printJson(shown)
    if (format === undefined) context.print(JSON.stringify(shown, null, 4))
    else if (format === 'json') context.print(JSON.stringify(shown))
    else {
      const { goTemplate } = await import('../template/go-template.ts')
      const template = goTemplate(format)
      for (const volume of shown) context.print(template.render(volume))
    }
    return 0
  },
}

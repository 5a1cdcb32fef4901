// `kauri network inspect`: all of a network, in docker's form.

import type { CommandSpec } from '../command.ts'
import { inspectNetwork } from '../network-details.ts'
import { openNetworksHere } from '../network-host.ts'

export const command: CommandSpec = {
  name: 'network inspect',
  summary: 'Show all of a network',
  operands: 'NETWORK...',
  minOperands: 1,
  options: [
    { long: 'format', short: 'f', value: 'TEMPLATE', summary: 'json or a Go template' },
    { long: 'verbose', short: 'v', summary: 'There is no more to show' },
  ],
  async run({ options, positionals, context }) {
    const networks = openNetworksHere(context)
    const shown = positionals.map(name => inspectNetwork(networks, name))
    const format = options.text('format')
    context.printJson(shown)
    if (format === undefined) context.print(JSON.stringify(shown, null, 4))
    else if (format === 'json') context.print(JSON.stringify(shown))
    else {
      const { goTemplate } = await import('../template/go-template.ts')
      const template = goTemplate(format)
      for (const network of shown) context.print(template.render(network))
    }
    return 0
  },
}

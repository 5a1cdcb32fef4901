// `kauri network connect`: puts a container on one more network.

import type { CommandSpec } from '../command.ts'
import { openContainers } from '../container-host.ts'
import { checkedAddress, checkedAlias, networkName } from '../network-options.ts'

export const command: CommandSpec = {
  name: 'network connect',
  summary: 'Put a container on a network',
  operands: 'NETWORK CONTAINER',
  minOperands: 2,
  maxOperands: 2,
  options: [
    { long: 'alias', value: 'NAME', repeat: true, summary: 'One more name on the network' },
    {
      long: 'gw-priority',
      value: 'N',
      summary: 'For later starts: the highest network is the way out',
    },
    { long: 'ip', value: 'ADDRESS', summary: 'This IPv4 address of the network' },
  ],
  async run({ options, positionals, context }) {
    const [network = '', name = ''] = positionals
    const containers = await openContainers(context)
    const { connectContainer } = await import('../../container/connect-network.ts')
    const { parseInteger } = await import('../option-values.ts')
    const state = containers.get(name)
    const address = options.text('ip')
    const priority = options.text('gw-priority') ?? '0'
    await connectContainer(
      state,
      {
        network: networkName(network),
        aliases: options.texts('alias').map(alias => checkedAlias('--alias', alias)),
        ...(address === undefined ? {} : { address: checkedAddress('--ip', address) }),
        gatewayPriority: parseInteger('--gw-priority', priority, { min: -32_768, max: 32_767 }),
      },
      { ...containers.host, id: state.id, name: state.name },
    )
    context.printJson({ network, container: state.id })
    return 0
  },
}

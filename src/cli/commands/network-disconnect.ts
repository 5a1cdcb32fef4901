// `kauri network disconnect`: takes a container off a network.

import type { CommandSpec } from '../command.ts'
import { openContainers } from '../container-host.ts'

export const command: CommandSpec = {
  name: 'network disconnect',
  summary: 'Take a container off a network',
  operands: 'NETWORK CONTAINER',
  minOperands: 2,
  maxOperands: 2,
  options: [{ long: 'force', short: 'f', summary: 'There is nothing to force' }],
  async run({ positionals, context }) {
    const [network = '', name = ''] = positionals
    const containers = await openContainers(context)
    const { disconnectContainer } = await import('../../container/connect-network.ts')
    const state = containers.get(name)
    disconnectContainer(state, network, { ...containers.host, id: state.id, name: state.name })
    context.printJson({ network, container: state.id })
    return 0
  },
}

// `kauri network rm`: takes networks away that nobody is on.

import { KauriError } from '../../core/errors.ts'
import { builtInNetworks } from '../../network/plan-network.ts'
import type { CommandSpec } from '../command.ts'
import { openNetworksHere } from '../network-host.ts'

export const command: CommandSpec = {
  name: 'network rm',
  summary: 'Remove networks',
  operands: 'NETWORK...',
  minOperands: 1,
  options: [{ long: 'force', short: 'f', summary: 'One that is not there is no error' }],
  async run({ options, positionals, context }) {
    const networks = openNetworksHere(context)
    const { signal, emit } = context
    const removed: string[] = []
    for (const name of positionals) {
      if (builtInNetworks.includes(name))
        throw new KauriError('USAGE', `the network ${name} is there for good`)
      if (options.flag('force') && networks.find(name) === undefined) continue
      const network = networks.get(name)
      await networks.remove(network, { signal, emit })
      context.print(name)
      removed.push(network.id)
    }
    context.printJson(removed)
    return 0
  },
}

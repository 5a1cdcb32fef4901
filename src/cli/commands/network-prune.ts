// `kauri network prune`: takes away every network of one's own that nobody is on.

import process from 'node:process'
import { KauriError } from '../../core/errors.ts'
import type { CommandSpec } from '../command.ts'
import { prunableNetworks } from '../network-details.ts'
import { openNetworksHere } from '../network-host.ts'

export const command: CommandSpec = {
  name: 'network prune',
  summary: 'Remove networks that nobody is on',
  options: [
    {
      long: 'filter',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'until=TIME, label=KEY[=VALUE], label!=…',
    },
    { long: 'force', short: 'f', summary: 'Do not ask' },
  ],
  async run({ options, context }) {
    const networks = openNetworksHere(context)
    const chosen = prunableNetworks(networks.list(), options.texts('filter'))
    if (!options.flag('force') && process.stdin.isTTY)
      throw new KauriError('USAGE', 'this removes all networks that no container is on', {
        hint: 'run it with --force if that is what you want',
      })
    const removed: string[] = []
    for (const network of chosen)
      try {
        await networks.remove(network, context)
        removed.push(network.name)
      } catch (error) {
        // Somebody is on it.
        if (!(error instanceof KauriError && error.code === 'LOCK_BUSY')) throw error
      }
    const { sweepPlaced } = await import('../../network/placed-containers.ts')
    sweepPlaced()
    if (removed.length > 0) context.print('Deleted Networks:')
    for (const name of removed) context.print(name)
    context.printJson(removed)
    return 0
  },
}

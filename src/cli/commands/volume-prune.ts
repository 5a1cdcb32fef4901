// `kauri volume prune`: removes volumes that no container names; those with a name of a person's only with --all.

import process from 'node:process'
import { usersOf } from '../../container/volume-use.ts'
import { KauriError } from '../../core/errors.ts'
import type { CommandSpec } from '../command.ts'
import { humanSize } from '../human-units.ts'
import { directoryBytes, prunableVolumes } from '../volume-details.ts'
import { openVolumesHere, usersHere } from '../volume-host.ts'

export const command: CommandSpec = {
  name: 'volume prune',
  summary: 'Remove volumes that no container uses',
  options: [
    { long: 'all', short: 'a', summary: 'Those with names, too' },
    {
      long: 'filter',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'label=KEY[=VALUE], label!=…, all=true',
    },
    { long: 'force', short: 'f', summary: 'Do not ask' },
  ],
  async run({ options, context }) {
    if (!options.flag('force') && process.stdin.isTTY)
      throw new KauriError('USAGE', 'this removes volumes that no container uses', {
        hint: 'run it with --force if that is what you want',
      })
    const volumes = openVolumesHere(context)
    const removed: string[] = []
    let bytes = 0
    const chosen = prunableVolumes(volumes.list(), options.texts('filter'), options.flag('all'))
    for (const { name, directory } of chosen) {
      const isUsed = (): boolean => usersOf(name, usersHere(context)).length > 0
      if (isUsed()) continue
      const size = directoryBytes(directory)
      if (!(await volumes.remove(name, isUsed))) continue
      removed.push(name)
      bytes += size
    }
    if (removed.length > 0) context.print('Deleted Volumes:')
    for (const name of removed) context.print(name)
    if (removed.length > 0) context.print('')
    context.print(`Total reclaimed space: ${humanSize(bytes)}`)
    context.printJson({ VolumesDeleted: removed, SpaceReclaimed: bytes })
    return 0
  },
}

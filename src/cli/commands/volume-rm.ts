// `kauri volume rm`: removes volumes that no container names.

import { usersOf } from '../../container/volume-use.ts'
import { KauriError } from '../../core/errors.ts'
import type { CommandSpec } from '../command.ts'
import { openVolumesHere, usersHere } from '../volume-host.ts'

export const command: CommandSpec = {
  name: 'volume rm',
  summary: 'Remove volumes and what is in them',
  operands: 'VOLUME...',
  minOperands: 1,
  options: [{ long: 'force', short: 'f', summary: 'One that is not there is no error' }],
  async run({ options, positionals, context }) {
    const volumes = openVolumesHere(context)
    const removed: string[] = []
    for (const name of positionals) {
      if (options.flag('force') && volumes.find(name) === undefined) continue
      const { name: own } = volumes.get(name)
      const users = (): readonly string[] => usersOf(own, usersHere(context))
      if (!(await volumes.remove(own, () => users().length > 0)))
        throw new KauriError('LOCK_BUSY', `volume is in use - [${users().join(', ')}]`, {
          hint: 'remove the containers that use it first, with kauri rm',
        })
      context.print(name)
      removed.push(own)
    }
    context.printJson(removed)
    return 0
  },
}

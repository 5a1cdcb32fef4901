// `kauri volume create`: a volume, by docker's local driver.

import { KauriError } from '../../core/errors.ts'
import { randomHex } from '../../core/random-hex.ts'
import type { CommandSpec } from '../command.ts'
import { parseLabels } from '../option-values.ts'
import { openVolumesHere } from '../volume-host.ts'

export const command: CommandSpec = {
  name: 'volume create',
  summary: 'Make a volume',
  operands: '[NAME]',
  maxOperands: 1,
  options: [
    { long: 'driver', short: 'd', value: 'DRIVER', summary: 'local, the only one' },
    { long: 'label', value: 'KEY=VALUE', repeat: true, summary: 'Set a label' },
    { long: 'name', value: 'NAME', summary: 'Name of the volume' },
    {
      long: 'opt',
      short: 'o',
      value: 'KEY=VALUE',
      repeat: true,
      summary: 'type, device and o: what is mounted in place of a directory of kauri’s',
    },
  ],
  async run({ options, positionals, context }) {
    const driver = options.text('driver') ?? 'local'
    if (driver !== 'local')
      throw new KauriError('UNSUPPORTED', `there is no volume driver ${driver}`, {
        hint: 'leave --driver out',
      })
    const [operand] = positionals
    const name = operand ?? options.text('name')
    const volume = await openVolumesHere(context).make({
      name: name ?? randomHex(32),
      anonymous: name === undefined,
      labels: parseLabels('--label', options.texts('label')),
      options: parseLabels('--opt', options.texts('opt')),
    })
    context.print(volume.name)
    context.printJson({ name: volume.name })
    return 0
  },
}

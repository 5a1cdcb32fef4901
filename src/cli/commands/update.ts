// `kauri update`: other limits for containers.

import type { CommandSpec } from '../command.ts'
import { limitOptions } from '../limit-options.ts'

const unchangeable = new Set(['oom-kill-disable', 'memory-swappiness', 'blkio-weight-device'])

export const command: CommandSpec = {
  name: 'update',
  summary: 'Change limits and restart policies of containers',
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [
    ...limitOptions.filter(({ long }) => !unchangeable.has(long) && !long.startsWith('device-')),
    { long: 'restart', value: 'POLICY', summary: 'Start it again when it ends' },
  ],
  async run(input) {
    const { updateCommand } = await import('../update-command.ts')
    return await updateCommand(input)
  },
}

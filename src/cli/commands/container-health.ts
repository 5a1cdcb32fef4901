// One check of a container's health; see src/container/check-health.ts.

import { checkHealth } from '../../container/check-health.ts'
import type { CommandSpec } from '../command.ts'
import { openContainers } from '../container-host.ts'
import { inheritedId } from '../inherited-id.ts'

export const command: CommandSpec = {
  name: 'container-health',
  summary: 'Check the health of a container; called by its monitor',
  operands: 'ID',
  minOperands: 1,
  maxOperands: 1,
  options: [],
  async run({ positionals: [id = ''], context }) {
    const containers = await openContainers(context, { sweeps: false })
    await checkHealth(inheritedId(id), containers.host)
    return 0
  },
}

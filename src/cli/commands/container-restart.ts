// What is called when the wait before a container's restart is over; see src/container/end-container.ts.

import { restartContainer } from '../../container/end-container.ts'
import { firstLockFd } from '../../runtime/monitor.ts'
import type { CommandSpec } from '../command.ts'
import { openContainers } from '../container-host.ts'
import { inheritedId } from '../inherited-id.ts'

export const command: CommandSpec = {
  name: 'container-restart',
  summary: 'Start a container again by its policy; called by what waited for that',
  operands: 'ID WAITED-MS',
  minOperands: 2,
  maxOperands: 2,
  options: [],
  async run({ positionals: [id = '', waited = ''], context }) {
    const containers = await openContainers(context, { sweeps: false })
    const locks = { first: firstLockFd, count: 2 }
    const host = await containers.lifeHost()
    await restartContainer(inheritedId(id), Number(waited), locks, host)
    return 0
  },
}

// What a monitor becomes when its container has ended; see src/container/end-container.ts.

import { endContainer } from '../../container/end-container.ts'
import { firstLockFd } from '../../runtime/monitor.ts'
import type { CommandSpec } from '../command.ts'
import { openContainers } from '../container-host.ts'
import { inheritedId } from '../inherited-id.ts'

export const command: CommandSpec = {
  name: 'container-ended',
  summary: 'Clean up after a container; called by its monitor',
  operands: 'ID LOCKS',
  minOperands: 2,
  maxOperands: 2,
  options: [],
  async run({ positionals: [id = '', locks = ''], context }) {
    const containers = await openContainers(context, { sweeps: false })
    const count = Number(locks)
    const host = await containers.lifeHost()
    await endContainer(inheritedId(id), { first: firstLockFd, count }, host)
    return 0
  },
}

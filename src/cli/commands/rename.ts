// `kauri rename`: another name for a container.

import type { CommandSpec } from '../command.ts'

export const command: CommandSpec = {
  name: 'rename',
  summary: 'Give a container another name',
  operands: 'CONTAINER NEW-NAME',
  minOperands: 2,
  maxOperands: 2,
  options: [],
  async run({ positionals: [name = '', newName = ''], context }) {
    const { openContainers } = await import('../container-host.ts')
    const { renameContainer } = await import('../../container/container-records.ts')
    const { tellEvent } = await import('../../container/container-events.ts')
    const containers = await openContainers(context)
    const { root } = containers
    const state = containers.get(name)
    renameContainer(root, state, newName.replace(/^\//, ''))
    tellEvent(context.runRoot, { ...state, name: newName }, 'rename', { oldName: state.name })
    context.printJson({ id: state.id, name: newName })
    return 0
  },
}

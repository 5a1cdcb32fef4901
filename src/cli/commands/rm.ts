// `kauri rm`: removes containers that ended, their trees and their volumes.

import path from 'node:path'
import {
  getContainer,
  removeContainer,
  sweepContainers,
} from '../../container/container-records.ts'
import { KauriError } from '../../core/errors.ts'
import { snapshotId } from '../../rootfs/rootfs.ts'
import type { CommandSpec } from '../command.ts'
import { openTrees } from '../open-trees.ts'

export const command: CommandSpec = {
  name: 'rm',
  summary: 'Remove containers',
  details: ['What the containers wrote goes with them, and so do their volumes.'],
  operands: 'CONTAINER...',
  minOperands: 1,
  options: [],
  async run({ positionals, context }) {
    const root = path.join(context.dataRoot, 'containers')
    const snapshotter = await openTrees(context)
    sweepContainers(root)
    const removed: string[] = []
    for (const name of positionals) {
      const container = getContainer(root, name)
      if (container.status === 'running')
        throw new KauriError('LOCK_BUSY', `the container ${name} is running`, {
          hint: 'end it first',
        })
      await snapshotter.remove(snapshotId(container.id))
      removeContainer(root, container)
      context.print(name)
      removed.push(container.id)
    }
    context.printJson(removed)
    return 0
  },
}

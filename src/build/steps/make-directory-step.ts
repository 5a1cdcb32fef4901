// WORKDIR: a directory for whoever works in it. One that is there stays as it is; links are followed inside the root.

import type { MakeDirectoryStep } from '../../plan/plan.ts'
import { findOwner } from '../source-owner.ts'
import { targetTree } from '../target-tree.ts'
import { locateErrors } from './locate-errors.ts'
import { nothingInstalled, type PreparedStep, type StepContext } from './step.ts'

/** Performing throws PROCESS_FAILED where something else has the name. */
export function prepareMakeDirectory(
  step: MakeDirectoryStep,
  { options }: StepContext,
): PreparedStep {
  return {
    reads: null,
    perform: ({ root }) =>
      locateErrors(step, async () => {
        using tree = root.open()
        const lookup = { rootFd: tree.fd, isEmpty: root.parent === undefined, emit: options.emit }
        const target = targetTree(tree.fd)
        target.makeDirectories(target.follow(step.target.slice(1)), {
          mode: 0o755,
          owner: findOwner(step.owner, lookup),
        })
        return nothingInstalled
      }),
  }
}

// Which half of which file a step goes to; a new kind of step is added here.

import type { BuildStep } from '../../plan/plan.ts'
import { prepareAdd } from './add-step.ts'
import { prepareCopy } from './copy-step.ts'
import { prepareInstall, prepareRemove } from './install-step.ts'
import { prepareMakeDirectory } from './make-directory-step.ts'
import { prepareRun } from './run-step.ts'
import type { PreparedStep, StepContext } from './step.ts'
import { prepareUnpack } from './unpack-step.ts'
import { prepareUsers } from './users-step.ts'
import { prepareLink, prepareWrite } from './write-step.ts'

/** Learns what the step reads. @throws what the step's file says */
export async function prepareStep(step: BuildStep, context: StepContext): Promise<PreparedStep> {
  switch (step.kind) {
    case 'install':
      return await prepareInstall(step, context)
    case 'remove':
      return await prepareRemove(step, context)
    case 'run':
      return await prepareRun(step, context)
    case 'copy':
      return await prepareCopy(step, context)
    case 'unpack':
      return await prepareUnpack(step, context)
    case 'users':
      return prepareUsers(step, context)
    case 'write':
      return prepareWrite(step)
    case 'link':
      return prepareLink(step)
    case 'add':
      return await prepareAdd(step, context)
    case 'make-directory':
      return prepareMakeDirectory(step, context)
    default:
      return step satisfies never
  }
}

// Which half of which file a step goes to; a new kind of step is added here.

import type { BuildStep } from '../../plan/plan.ts'
import { prepareCopy } from './copy-step.ts'
import { prepareInstall, prepareRemove } from './install-step.ts'
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
    default:
      return step satisfies never
  }
}

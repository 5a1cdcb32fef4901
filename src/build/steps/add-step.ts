// COPY and ADD.

import { KauriError } from '../../core/errors.ts'
import type { AddStep } from '../../plan/plan.ts'
import type { PreparedStep, StepContext } from './step.ts'

export async function prepareAdd(step: AddStep, _context: StepContext): Promise<PreparedStep> {
  throw new KauriError('INTERNAL', `${step.title}: not there yet`)
}

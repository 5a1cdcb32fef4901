// WORKDIR: makes a directory for whoever works in it.

import { KauriError } from '../../core/errors.ts'
import type { MakeDirectoryStep } from '../../plan/plan.ts'
import type { PreparedStep } from './step.ts'

export function prepareMakeDirectory(step: MakeDirectoryStep): PreparedStep {
  throw new KauriError('INTERNAL', `${step.title}: not there yet`)
}

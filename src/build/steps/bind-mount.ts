// `RUN --mount=type=bind`: a file or directory of another root. What a step writes to it goes with the step.

import type { BuildMount, RunStep } from '../../plan/plan.ts'
import type { PreparedMount } from './build-mount.ts'
import { digestMountSource, openMountSource } from './mount-source.ts'
import type { StepContext } from './step.ts'

/** @throws FILE_NOT_FOUND */
export async function prepareBind(
  { from, source: path, target, writable }: Extract<BuildMount, { readonly kind: 'bind' }>,
  { where }: RunStep,
  context: StepContext,
): Promise<PreparedMount> {
  const place = { from, path, where }
  const digest = await digestMountSource(context, place)
  return {
    reads: digest,
    async open({ stack }) {
      const { tree, path: source } = await openMountSource(context, place, { digest, stack })
      const options = ['bind', writable ? 'rw' : 'ro']
      return { mounts: [{ type: 'bind', source, destination: target, options, tree }] }
    },
  }
}

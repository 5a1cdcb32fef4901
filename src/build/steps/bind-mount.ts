// `RUN --mount=type=bind`: a file or directory of another root. What a step writes to it goes with the step.

import type { BuildMount, RunStep } from '../../plan/plan.ts'
import type { PreparedMount } from './build-mount.ts'
import { readMountSource } from './mount-source.ts'
import type { StepContext } from './step.ts'

/** @throws FILE_NOT_FOUND */
export async function prepareBind(
  { from, source, target, writable }: Extract<BuildMount, { readonly kind: 'bind' }>,
  { where }: RunStep,
  context: StepContext,
): Promise<PreparedMount> {
  const shown = await readMountSource(context, { from, source, where })
  return {
    reads: shown.digest,
    async open({ stack }) {
      const { tree, path } = await shown.open(stack)
      const options = ['bind', writable ? 'rw' : 'ro']
      return { mounts: [{ type: 'bind', source: path, destination: target, options, tree }] }
    },
  }
}

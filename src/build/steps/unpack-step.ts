// Unpacks a tar archive of a context into the root. Times are those of the archive, so they are part of what is read.

import { createReadStream } from 'node:fs'
import { applyTar } from '../../layer/apply-tar.ts'
import { decompress } from '../../layer/decompress.ts'
import { makeDirectoriesInRoot } from '../../native/in-root.ts'
import type { UnpackStep } from '../../plan/plan.ts'
import { rootOwner } from '../copy-entries.ts'
import { digestStepSource, openStepSource, requireUnchanged } from './open-step-source.ts'
import { nothingInstalled, type PreparedStep, type StepContext, type StepGround } from './step.ts'

/** @throws FILE_NOT_FOUND; performing also ARCHIVE_INVALID */
export async function prepareUnpack(step: UnpackStep, context: StepContext): Promise<PreparedStep> {
  const digest = await digestStepSource(context, step)
  return {
    reads: digest,
    async perform(ground) {
      await unpack(step, context, ground)
      await requireUnchanged(context, step, digest)
      return nothingInstalled
    },
  }
}

async function unpack(step: UnpackStep, context: StepContext, { root }: StepGround): Promise<void> {
  const { signal, emit } = context.options
  using source = openStepSource(context, step)
  const [archive] = source.entries
  if (archive === undefined) return
  const packed = createReadStream('', { fd: source.openFile(archive) })
  try {
    const { bytes } = await decompress(packed, { name: source.hostPath, signal })
    using tree = root.open()
    makeDirectoriesInRoot(tree.fd, step.target, { mode: 0o755, ...rootOwner })
    await applyTar(bytes, tree.fd, {
      name: source.hostPath,
      whiteouts: 'ordinary',
      ownership: step.ownership,
      // A root with merged /usr keeps its links where an archive has /bin or /lib as directories.
      directories: 'follow',
      target: step.target,
      signal,
      emit,
    })
  } finally {
    packed.destroy()
  }
}

// Copies a tree or a file of a context into the root.

import { KauriError } from '../../core/errors.ts'
import { readTextInRoot } from '../../native/in-root.ts'
import type { CopyStep } from '../../plan/plan.ts'
import { resolveContainerUser } from '../../runtime/container-user.ts'
import { digestContextSource } from '../context-digest.ts'
import type { ContextSource } from '../context-scan.ts'
import { copyEntries, type Owner, rootOwner } from '../copy-entries.ts'
import { openStepSource, requireUnchanged } from './open-step-source.ts'
import { nothingInstalled, type PreparedStep, type StepContext, type StepGround } from './step.ts'

/** @throws FILE_NOT_FOUND where the source is missing, or a directory in a file's place */
export async function prepareCopy(step: CopyStep, context: StepContext): Promise<PreparedStep> {
  using source = openStepSource(context, step)
  requireKind(source, step)
  const digest = await digestContextSource(source, context.options.signal)
  return {
    reads: digest,
    async perform(ground) {
      await copy(step, context, ground)
      await requireUnchanged(context, step, digest)
      return nothingInstalled
    },
  }
}

async function copy(step: CopyStep, context: StepContext, { root }: StepGround): Promise<void> {
  using tree = root.open()
  using source = openStepSource(context, step)
  await copyEntries(source, {
    rootFd: tree.fd,
    target: step.target,
    owner: step.owner === undefined ? rootOwner : findOwner(tree.fd, step.owner),
    mode: step.mode,
    signal: context.options.signal,
  })
}

function requireKind(source: ContextSource, step: CopyStep): void {
  const isDirectory = source.entries[0]?.type === 'directory'
  if (isDirectory === (step.as === 'tree')) return
  throw new KauriError(
    'FILE_NOT_FOUND',
    `${source.hostPath} is ${isDirectory ? 'a directory, not a file' : 'no directory'}`,
    { where: step.where },
  )
}

function findOwner(rootFd: number, owner: string): Owner {
  const passwd = readTextInRoot(rootFd, '/etc/passwd')
  const group = readTextInRoot(rootFd, '/etc/group')
  const { uid, gid } = resolveContainerUser(owner, {
    ...(passwd === undefined ? {} : { passwd }),
    ...(group === undefined ? {} : { group }),
  })
  // As chown(1): without a group, that of the one who copies.
  return { uid, gid: owner.includes(':') ? gid : rootOwner.gid }
}

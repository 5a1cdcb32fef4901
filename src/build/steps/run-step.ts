// Runs a script in the root: docker's capabilities and seccomp filter, a clean environment, no network unless the caller
// allows it.

import { randomUUID } from 'node:crypto'
import { readTextInRoot } from '../../native/in-root.ts'
import type { RuntimeConfig, RuntimeMount } from '../../oci/runtime-config.ts'
import type { RunStep } from '../../plan/plan.ts'
import type { Rootfs } from '../../rootfs/rootfs.ts'
import { buildStepConfig } from '../../runtime/build-step-config.ts'
import { type ContainerUser, resolveContainerUser } from '../../runtime/container-user.ts'
import type { RootMount } from '../../runtime/runtime.ts'
import { openScratchDirectory } from '../scratch-directory.ts'
import { scriptFailure } from './script-failure.ts'
import {
  epochOf,
  nothingInstalled,
  type PreparedStep,
  type StepContext,
  type StepGround,
} from './step.ts'
import { networkMounts, readStepMounts, type StepMounts } from './transient-mounts.ts'

/** Lines of output that an error can look at. */
const keptLines = 50

/** @throws FILE_NOT_FOUND; performing also SCRIPT_FAILED, COMMAND_NOT_FOUND and others of the runtime */
export async function prepareRun(step: RunStep, context: StepContext): Promise<PreparedStep> {
  const mounts = await readStepMounts(step, context)
  // Where the packages decide the epoch, the steps before name it already.
  const epoch = context.options.sourceDateEpoch ?? null
  return {
    reads: { epoch, mounts: mounts.reads },
    async perform(ground) {
      await run(step, context, { ground, mounts })
      await cleanAfterPackageManager(context, ground.root)
      return nothingInstalled
    },
  }
}

async function run(
  step: RunStep,
  context: StepContext,
  { ground, mounts }: { readonly ground: StepGround; readonly mounts: StepMounts },
): Promise<void> {
  const { options, stepId, tools } = context
  await using scratch = await openScratchDirectory(tools.dataRoot)
  const lines: string[] = []
  const onLine = (line: string): void => {
    options.emit({ kind: 'step-output', id: stepId, line })
    lines.push(line)
    if (lines.length > keptLines) lines.shift()
  }
  const bundle = {
    id: `kauri-build-${randomUUID()}`,
    config: configure(step, context, {
      ground,
      mounts: [
        ...mountNetwork(step, ground, scratch.path),
        ...(await mounts.copyInto(scratch.path)),
      ],
    }),
    root: withoutSync(ground.root.mount),
  }
  const { signal } = options
  const exit = await tools.runtime.run(bundle, { io: { kind: 'lines', onLine }, signal })
  if (exit.code !== 0) throw scriptFailure(step, exit, lines)
}

function configure(
  step: RunStep,
  { options }: StepContext,
  { ground, mounts }: { readonly ground: StepGround; readonly mounts: readonly RuntimeMount[] },
): RuntimeConfig {
  const hasEpoch = step.environment.some(entry => entry.startsWith('SOURCE_DATE_EPOCH='))
  const epoch =
    hasEpoch || !step.showsEpoch ? [] : [`SOURCE_DATE_EPOCH=${epochOf(options, ground)}`]
  return buildStepConfig({
    command: step.command,
    environment: [...step.environment, ...epoch],
    directory: step.directory,
    user: findUser(ground.root, step.user),
    network: step.network,
    mounts,
  })
}

function mountNetwork(
  { network }: RunStep,
  { root }: StepGround,
  directory: string,
): RuntimeMount[] {
  using tree = root.open()
  return networkMounts(network, tree.fd, directory)
}

function findUser(root: Rootfs, user: string): ContainerUser {
  using tree = root.open()
  const passwd = readTextInRoot(tree.fd, '/etc/passwd')
  const group = readTextInRoot(tree.fd, '/etc/group')
  // By number, so that it is there before any account file is.
  return resolveContainerUser(user === 'root' ? '0' : user, {
    ...(passwd === undefined ? {} : { passwd }),
    ...(group === undefined ? {} : { group }),
  })
}

/** What a power cut takes is the step, which runs again; so nobody waits for the disk. */
function withoutSync(mount: RootMount): RootMount {
  return mount.kind === 'overlay' ? { ...mount, volatile: true } : mount
}

/** Scripts may have installed packages, and each run of a package manager leaves logs that differ. */
async function cleanAfterPackageManager(
  { stage, tools }: StepContext,
  root: Rootfs,
): Promise<void> {
  const install = stage.steps.find(step => step.kind === 'install')
  if (install === undefined) return
  const manager = await tools.packageManager(install.manager)
  await manager.cleanRoot(root)
}

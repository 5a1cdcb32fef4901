// Runs a program in the root: docker's capabilities and seccomp filter, a clean environment, no network unless the caller
// allows it.

import { randomUUID } from 'node:crypto'
import type { Json } from '../../core/canonical-json.ts'
import type { BridgeLease } from '../../network/bridge-lease.ts'
import type { RunStep } from '../../plan/plan.ts'
import type { Rootfs } from '../../rootfs/rootfs.ts'
import type { ContainerExit, RootMount } from '../../runtime/runtime.ts'
import type { RunLimits } from '../build.ts'
import { openScratchDirectory } from '../scratch-directory.ts'
import { type RunMounts, readRunMounts } from './build-mounts.ts'
import { checkEntitlements } from './entitlements.ts'
import { locatedError } from './located-error.ts'
import { runConfig } from './run-config.ts'
import { scriptFailure, startFailure } from './script-failure.ts'
import { nothingInstalled, type PreparedStep, type StepContext, type StepGround } from './step.ts'

/** Lines of output that an error can look at. */
const keptLines = 50

/** @throws FILE_NOT_FOUND, PERMISSION_DENIED; performing also SCRIPT_FAILED, USAGE, COMMAND_NOT_FOUND and others of the runtime */
export async function prepareRun(step: RunStep, context: StepContext): Promise<PreparedStep> {
  checkEntitlements(step, context.options)
  const mounts = await readRunMounts(step, context)
  return {
    reads: readsOf(step, context, mounts),
    async perform(ground) {
      await run(step, context, { ground, mounts })
      await cleanAfterPackageManager(context, ground.root)
      return nothingInstalled
    },
  }
}

function readsOf(step: RunStep, { options }: StepContext, mounts: RunMounts): Json {
  // Where the packages decide the epoch, the steps before name it already.
  const epoch = step.showsEpoch ? (options.sourceDateEpoch ?? null) : null
  const { transientReads, buildReads } = mounts
  return {
    epoch,
    mounts: transientReads,
    ...(buildReads.length > 0 ? { buildReads } : {}),
    ...(step.phase === 'instruction' ? limitsRead(options.caller?.limits) : {}),
  }
}

/** What a program can see of the limits; how much memory and processor time it gets changes how fast it is, not what it makes. */
function limitsRead({ extraHosts, shmSizeBytes, rlimits }: RunLimits = {}): Record<string, Json> {
  return {
    ...(extraHosts === undefined || extraHosts.length === 0 ? {} : { extraHosts: [...extraHosts] }),
    ...(shmSizeBytes === undefined ? {} : { shmSizeBytes }),
    ...(rlimits === undefined || rlimits.length === 0
      ? {}
      : { rlimits: rlimits.map(({ type, soft, hard }) => ({ type, soft, hard })) }),
  }
}

interface RunParts {
  readonly ground: StepGround
  readonly mounts: RunMounts
}

async function run(
  step: RunStep,
  context: StepContext,
  { ground, mounts }: RunParts,
): Promise<void> {
  const { options, stepId, tools } = context
  const { signal } = options
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await openScratchDirectory(tools.dataRoot)).path
  const lines: string[] = []
  const onLine = (line: string): void => {
    options.emit({ kind: 'step-output', id: stepId, line })
    lines.push(line)
    if (lines.length > keptLines) lines.shift()
  }
  const opened = await mounts.open({ directory, stack, signal })
  const lease = step.network === 'bridge' ? stack.use(await leaseAddress(options)) : undefined
  const bundle = {
    id: `kauri-build-${randomUUID()}`,
    config: runConfig(step, context, { ground, opened, directory, gateway: lease?.gateway }),
    root: withoutSync(ground.root.mount),
    ...(lease === undefined ? {} : { network: lease }),
  }
  const exit = await started(step, context, () =>
    tools.runtime.run(bundle, { io: { kind: 'lines', onLine }, signal, emit: options.emit }),
  )
  if (exit.code !== 0) throw scriptFailure(step, exit, lines)
}

/** Loaded only when a step really runs. */
async function leaseAddress({ signal, emit }: StepContext['options']): Promise<BridgeLease> {
  const { leaseBridgeAddress } = await import('../../network/bridge-lease.ts')
  return await leaseBridgeAddress({ use: 'build', signal, emit })
}

async function started(
  step: RunStep,
  { stage }: StepContext,
  work: () => Promise<ContainerExit>,
): Promise<ContainerExit> {
  try {
    return await work()
  } catch (error) {
    throw locatedError(startFailure(step, stage.platform, error), step.where)
  }
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

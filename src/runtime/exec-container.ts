// Runs one more program in a container: the launcher joins its cgroups and namespaces, which its files name.

import { constants } from 'node:os'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { ProcessConfig } from '../oci/runtime-config.ts'
import type { StoredContainer } from './container-files.ts'
import type { ExecIo, ExecOptions, ExecProcess, ExecResult } from './container-runtime.ts'
import { getStored, requireRunning } from './find-container.ts'
import { launch, readReports, startLauncher } from './launch.ts'
import { descriptorsFrom3 } from './launch-created.ts'
import {
  ownNamespaceBits,
  type PlanStreams,
  processRecords,
  seccompRecords,
  streamRecords,
} from './launch-plan.ts'
import { type LaunchReport, reportReader } from './launcher-reports.ts'
import { type PlanRecord, planTag } from './plan-writer.ts'
import { filterDirectory, type RuntimeHost } from './runtime-host.ts'
import { seccompFilter } from './seccomp-cache.ts'
import { addedProcessSettings } from './settings-records.ts'

/** @throws what ContainerRuntime.exec throws */
export async function execInContainer(
  id: string,
  wanted: ExecProcess,
  options: ExecOptions,
  host: RuntimeHost,
): Promise<ExecResult> {
  const { signal } = options
  if (signal?.aborted) throw cancelled(signal)
  const { status, pid, startTicks } = requireRunning(host.runRoot, id)
  // A program in a stopped cgroup would stand still before it is executed, and its caller with it.
  if (status === 'paused')
    throw new KauriError('CONTAINER_NOT_RUNNING', `the container ${id} is paused`, {
      hint: 'resume it first',
    })
  const stored = getStored(host.runRoot, id)
  const config = { ...stored.config, process: { ...stored.config.process, ...wanted } }
  const seccomp = await seccompFilter(config, filterDirectory(host))
  const plan = [
    [planTag.target, pid, BigInt(startTicks), ownNamespaceBits(config)] as const,
    ...cgroupRecords(stored),
    ...streamRecords(config.process, planStreams(options.io, config.process)),
    ...processRecords(config.process),
    ...addedProcessSettings(config.process),
    ...seccompRecords(seccomp),
    ...descriptorRecords(options),
  ]
  return await runProgram(plan, options)
}

function cgroupRecords({
  cgroup: { taskFiles, version2Directory },
}: StoredContainer): PlanRecord[] {
  return [
    ...taskFiles.map((file): PlanRecord => [planTag.cgroup, file]),
    ...(version2Directory === undefined
      ? []
      : [[planTag.cgroupDirectory, version2Directory] as const]),
  ]
}

function planStreams(io: ExecIo, { terminal = false }: ProcessConfig): PlanStreams {
  if (io.kind === 'detached') return { kind: 'inherit' }
  if (io.kind !== 'caller') return io
  return terminal ? { kind: 'terminal', consoleSocket: io.consoleSocket } : { kind: 'inherit' }
}

function descriptorRecords({ io, preserveFds = 0 }: ExecOptions): PlanRecord[] {
  return [
    ...(preserveFds > 0 ? [[planTag.inherited, preserveFds] as const] : []),
    ...(isDetached(io) ? [[planTag.detached, io.kind === 'detached' ? 1 : 0] as const] : []),
  ]
}

function isDetached(io: ExecIo): boolean {
  return io.kind === 'detached' || (io.kind === 'caller' && io.detach)
}

async function runProgram(plan: readonly PlanRecord[], options: ExecOptions): Promise<ExecResult> {
  const { io } = options
  let pid = 0
  const onStart: ExecOptions['onStart'] = program => {
    pid = program.pid
    options.onStart?.(program)
  }
  const report =
    io.kind === 'detached' || io.kind === 'caller'
      ? await launchWithStreams(plan, { ...options, onStart })
      : await launch(plan, { ...options, io, onStart }, 'exec')
  if (options.signal?.aborted) throw cancelled(options.signal)
  for (const message of report.warnings) options.emit?.({ kind: 'warning', message })
  if (report.failure !== undefined) throw report.failure
  if (report.exitCode !== undefined) return { code: report.exitCode, pid }
  if (isDetached(io)) return { code: 0, pid }
  throw new KauriError('LAUNCH_FAILED', 'the launcher was killed')
}

/** The caller's own streams and descriptors, or none at all. */
async function launchWithStreams(
  plan: readonly PlanRecord[],
  { io, preserveFds = 0, signal, onStart }: ExecOptions,
): Promise<LaunchReport> {
  const stream = io.kind === 'detached' ? 'ignore' : 'inherit'
  const { child, control, ended } = startLauncher('exec', plan, {
    streams: [stream, stream, stream],
    more: descriptorsFrom3(preserveFds),
  })
  const kill = (): void => void control.end()
  signal?.addEventListener('abort', kill, { once: true })
  const reader = reportReader({
    onStarted: pid =>
      onStart?.({ pid, kill: name => void process.kill(pid, constants.signals[name]) }),
  })
  try {
    const reading = readReports(control, reader.onLine)
    // The launcher stays for a detached program, but has closed its side when that is executed.
    await (io.kind === 'detached' ? Promise.race([reading, ended]) : Promise.all([reading, ended]))
    await reading
    child.unref()
    return reader.result()
  } finally {
    signal?.removeEventListener('abort', kill)
    control.destroy()
  }
}

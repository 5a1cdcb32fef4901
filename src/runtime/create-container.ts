// Makes containers that outlast this process. What is made is recorded before, first as this process's, then as the
// monitor's, so that at each moment a kill of either leaves what the next sweep finds and removes.

import { rmSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { HookConfig, RuntimeConfig } from '../oci/runtime-config.ts'
import {
  type ContainerCgroup,
  createCgroup,
  type PlannedDirectory,
  planCgroup,
  refuseOccupied,
  removeCgroup,
} from './cgroup.ts'
import { makeContainerDirectory, type StoredContainer, writeStored } from './container-files.ts'
import type { CallerSupervision, CreateOptions, Supervision } from './container-runtime.ts'
import { type CreatedLaunch, launchCreated } from './launch-created.ts'
import { launchPlan, type PlanStreams } from './launch-plan.ts'
import { monitorRecords } from './monitor.ts'
import { type MountPointLayer, makeMountPoints, planMountPoints } from './mount-points.ts'
import { type PlanRecord, planTag } from './plan-writer.ts'
import {
  changeRecord,
  identityOf,
  ownIdentity,
  type RunRecord,
  removeRecord,
  writeRecord,
} from './run-record.ts'
import type { Bundle } from './runtime.ts'
import {
  clearVolatileMark,
  filterDirectory,
  type RuntimeHost,
  removeMountPoints,
  rootDirectoryOf,
  sparePlace,
} from './runtime-host.ts'
import { seccompFilter } from './seccomp-cache.ts'

/** @throws what ContainerRuntime.create throws; nothing is left then. The launch is released: the container is on its own */
export async function createContainer(
  bundle: Bundle,
  options: CreateOptions,
  host: RuntimeHost,
): Promise<CreatedLaunch> {
  const { config, root } = bundle
  const { signal, supervision } = options
  if (signal?.aborted) throw cancelled(signal)
  const { runRoot, layout } = host
  const seccomp = await seccompFilter(config, filterDirectory(host))
  await using traces = new AsyncDisposableStack()
  const { planned, mountPoints, directory, record, stored } = recordTraces(bundle, options, {
    host,
    traces,
  })
  const cgroup = createCgroup(layout, planned, config.linux.resources ?? {})
  if (mountPoints !== undefined) makeMountPoints(mountPoints)
  clearVolatileMark(root)
  const plan = [
    ...launchPlan(config, {
      root,
      io: streamsOf(supervision, config),
      layout,
      cgroup,
      mountPoints: mountPoints?.directory,
      network: bundle.network,
      seccomp,
    }),
    ...lifeRecords(options, { config, directory, cgroup }),
  ]
  const launched = traces.use(await launchCreated(plan, options))
  for (const message of launched.report.warnings) options.emit?.({ kind: 'warning', message })
  writeWhole(bundle, stored, { launched, cgroup, options, host })
  if (supervision.kind === 'monitor')
    changeRecord(runRoot, { ...record, owner: identity(launched.launcherPid) })
  await launched.release()
  traces.move()
  return launched
}

interface Traces {
  readonly planned: readonly PlannedDirectory[]
  readonly mountPoints: MountPointLayer | undefined
  readonly directory: string
  readonly record: Omit<RunRecord, 'owner'>
  readonly stored: StoredContainer
}

/** Writes down what will be made, and how it is removed; nothing else is made yet. */
function recordTraces(
  { id, config, root }: Bundle,
  { supervision }: CreateOptions,
  { host, traces }: { readonly host: RuntimeHost; readonly traces: AsyncDisposableStack },
): Traces {
  const { runRoot, layout } = host
  const { resources = {}, cgroupsPath } = config.linux
  const planned = planCgroup(layout, id, { resources, allHierarchies: true, cgroupsPath })
  refuseOccupied(planned)
  const mountPoints = planMountPoints(config, root, sparePlace(host, id))
  const directory = makeContainerDirectory(runRoot, id)
  traces.defer(() => rmSync(directory, { recursive: true, force: true }))
  const cgroups = planned.map(({ directory: place }) => place)
  const layer = mountPoints === undefined ? {} : { mountPoints: mountPoints.directory }
  const record = { id, cgroups, ...layer }
  if (supervision.kind === 'monitor') {
    writeRecord(runRoot, { ...record, owner: ownIdentity() })
    traces.defer(() => removeRecord(runRoot, id))
  }
  const cgroup = { directories: cgroups, taskFiles: [] }
  const stored = { id, createdMs: Date.now(), config, cgroup, ...layer }
  writeStored(runRoot, stored)
  traces.defer(async () => {
    removeMountPoints(mountPoints)
    await removeCgroup(cgroups)
  })
  return { planned, mountPoints, directory, record, stored }
}

interface Launched {
  readonly launched: CreatedLaunch
  readonly cgroup: ContainerCgroup
  readonly options: CreateOptions
  readonly host: RuntimeHost
}

function writeWhole(
  { root }: Bundle,
  stored: StoredContainer,
  { launched, cgroup, options, host }: Launched,
): void {
  const rootDirectory = rootDirectoryOf(root)
  const { made } = launched.report
  const { directories, taskFiles, version2Directory } = cgroup
  writeStored(host.runRoot, {
    ...stored,
    cgroup: { directories, taskFiles, ...(version2Directory && { version2Directory }) },
    process: identity(launched.pid),
    ...(options.supervision.kind === 'monitor' ? { monitor: identity(launched.launcherPid) } : {}),
    ...(made.length > 0 && rootDirectory !== undefined
      ? { made: { directory: rootDirectory, entries: made } }
      : {}),
  })
}

/** @throws LAUNCH_FAILED where it has ended already */
function identity(pid: number): ReturnType<typeof ownIdentity> {
  const found = identityOf(pid)
  if (found !== undefined) return found
  throw new KauriError('LAUNCH_FAILED', 'the container was killed while it was made')
}

function streamsOf(supervision: Supervision, config: RuntimeConfig): PlanStreams {
  const terminal =
    supervision.kind === 'monitor' ? supervision.terminal : config.process.terminal === true
  if (!terminal) return { kind: 'inherit' }
  const consoleSocket = supervision.kind === 'caller' ? supervision.consoleSocket : undefined
  return { kind: 'terminal', consoleSocket }
}

interface Life {
  readonly config: RuntimeConfig
  readonly directory: string
  readonly cgroup: ContainerCgroup
}

/** What the plan of a foreground container has not: a gate, hooks, and who watches. */
function lifeRecords(
  { supervision, hooks }: CreateOptions,
  { config, directory, cgroup }: Life,
): PlanRecord[] {
  return [
    [planTag.gate, directory],
    ...(hooks === undefined ? [] : [[planTag.hostTurn] as const]),
    ...hookRecords(config),
    ...(supervision.kind === 'monitor'
      ? monitorRecords(supervision, { directory, cgroup })
      : callerRecords(supervision)),
  ]
}

function callerRecords({ preserveFds, stay, keepKeyring }: CallerSupervision): PlanRecord[] {
  return [
    ...(keepKeyring === true ? [[planTag.keepKeyring] as const] : []),
    ...(preserveFds > 0 ? [[planTag.inherited, preserveFds] as const] : []),
    ...(stay === true ? [] : [[planTag.detached, 0] as const]),
  ]
}

/** The numbers are those of `enum hook_moment`. */
const hookMoments = { createContainer: 1, startContainer: 2 } as const

function hookRecords({ hooks = {} }: RuntimeConfig): PlanRecord[] {
  return Object.entries(hookMoments).flatMap(([moment, number]) =>
    (hooks[moment as keyof typeof hookMoments] ?? []).map(hook => hookRecord(number, hook)),
  )
}

function hookRecord(moment: number, { path, args, env, timeout }: HookConfig): PlanRecord {
  if (!path.startsWith('/'))
    throw new KauriError('USAGE', `the hook ${path} is not an absolute path`)
  return [planTag.hook, moment, path, timeout ?? 0, args?.length ? args : [path], env ?? []]
}

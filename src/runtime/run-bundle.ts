// Runs a container in the foreground: made, run and removed by one process, which the launcher does not outlive.

import { rmSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { RuntimeConfig } from '../oci/runtime-config.ts'
import {
  type ContainerCgroup,
  createCgroup,
  hadOutOfMemory,
  planCgroup,
  removeCgroup,
} from './cgroup.ts'
import { makeContainerDirectory, writeStarted, writeStored } from './container-files.ts'
import { launch } from './launch.ts'
import { launchPlan } from './launch-plan.ts'
import type { LaunchReport } from './launcher-reports.ts'
import { makeMountPoints, planMountPoints, removeMadeEntries } from './mount-points.ts'
import { identityOf, ownIdentity, writeRecord } from './run-record.ts'
import type { Bundle, ContainerExit, RootMount, RunningContainer, RunOptions } from './runtime.ts'
import {
  clearVolatileMark,
  filterDirectory,
  type RuntimeHost,
  removeMountPoints,
  rootDirectoryOf,
  sparePlace,
} from './runtime-host.ts'
import { seccompFilter } from './seccomp-cache.ts'

/** @throws what Runtime.run throws */
export async function runBundle(
  bundle: Bundle,
  options: RunOptions,
  host: RuntimeHost,
): Promise<ContainerExit> {
  const { id, config, root } = bundle
  const { signal, isFindable = false } = options
  if (signal?.aborted) throw cancelled(signal)
  const seccomp = await seccompFilter(config, filterDirectory(host))
  const resources = config.linux.resources ?? {}
  const planned = planCgroup(host.layout, id, { resources, allHierarchies: showsCgroups(config) })
  const mountPoints = planMountPoints(config, root, sparePlace(host, id))
  await using traces = new AsyncDisposableStack()
  const cgroups = planned.map(({ directory }) => directory)
  const layer = mountPoints === undefined ? {} : { mountPoints: mountPoints.directory }
  const record = writeRecord(host.runRoot, {
    id,
    owner: ownIdentity(),
    cgroups,
    ...layer,
    isFindable,
  })
  const directory = isFindable ? makeContainerDirectory(host.runRoot, id) : undefined
  traces.defer(async () => {
    removeMountPoints(mountPoints)
    await removeCgroup(cgroups)
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
    // Last, and only when all of it is gone: what could not be removed is the next sweep's.
    record[Symbol.dispose]()
  })
  const cgroup = createCgroup(host.layout, planned, resources)
  if (mountPoints !== undefined) makeMountPoints(mountPoints)
  clearVolatileMark(root)
  const plan = launchPlan(config, {
    root,
    io: options.io,
    layout: host.layout,
    cgroup,
    mountPoints: mountPoints?.directory,
    network: bundle.network,
    seccomp,
  })
  const onStart = isFindable ? findable(bundle, { cgroup, options, host }) : options.onStart
  const report = await launch(plan, { ...options, ...(onStart && { onStart }) })
  removeMade(root, report)
  return exitOf(report, cgroup, options)
}

interface Findable {
  readonly cgroup: ContainerCgroup
  readonly options: RunOptions
  readonly host: RuntimeHost
}

/** Writes what other processes find it by, as soon as there is something to find. */
function findable(
  { id, config }: Bundle,
  { cgroup, options, host }: Findable,
): (container: RunningContainer) => void {
  return container => {
    const process = identityOf(container.pid)
    const { directories, taskFiles, version2Directory } = cgroup
    writeStored(host.runRoot, {
      id,
      createdMs: Date.now(),
      config,
      cgroup: { directories, taskFiles, ...(version2Directory && { version2Directory }) },
      ...(process && { process }),
    })
    writeStarted(host.runRoot, id)
    options.onStart?.(container)
  }
}

function showsCgroups({ mounts }: RuntimeConfig): boolean {
  return mounts.some(({ type }) => type === 'cgroup' || type === 'cgroup2')
}

function removeMade(root: RootMount, { made }: LaunchReport): void {
  const directory = rootDirectoryOf(root)
  if (directory !== undefined) removeMadeEntries(directory, made)
}

function exitOf(report: LaunchReport, cgroup: ContainerCgroup, options: RunOptions): ContainerExit {
  if (options.signal?.aborted) throw cancelled(options.signal)
  for (const message of report.warnings) options.emit?.({ kind: 'warning', message })
  if (report.failure !== undefined) throw report.failure
  if (report.exitCode === undefined)
    throw new KauriError('LAUNCH_FAILED', 'the launcher was killed, and the container with it')
  return { code: report.exitCode, outOfMemory: hadOutOfMemory(cgroup.directories) }
}

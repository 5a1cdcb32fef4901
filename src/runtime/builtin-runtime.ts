// The runtime that kauri brings along: decides everything here, records what it is about to make, lets the launcher do
// it, and removes what was made.

import { existsSync, rmSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
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
import { type CgroupLayout, readCgroupLayout } from './cgroup-layout.ts'
import { type LaunchReport, launch } from './launch.ts'
import { launchPlan } from './launch-plan.ts'
import {
  type MountPointLayer,
  makeMountPoints,
  planMountPoints,
  removeMadeEntries,
} from './mount-points.ts'
import { ownIdentity, writeRecord } from './run-record.ts'
import type { Bundle, ContainerExit, RootMount, RunOptions, Runtime } from './runtime.ts'
import { seccompFilter } from './seccomp-cache.ts'

export interface BuiltinRuntimeOptions {
  /** Run-time state, such as /run/kauri; made when needed. */
  readonly runRoot: string
  /** Where compiled seccomp filters are kept; undefined: compiled each time. */
  readonly cacheRoot?: string | undefined
}

/** Runs bundles with kauri's own launcher. */
export function createBuiltinRuntime(options: BuiltinRuntimeOptions): Runtime {
  let layout: CgroupLayout | undefined
  return {
    name: 'builtin',
    run: (bundle, runOptions) => {
      layout ??= readCgroupLayout()
      return runBundle(bundle, runOptions, { ...options, layout })
    },
  }
}

interface Host extends BuiltinRuntimeOptions {
  readonly layout: CgroupLayout
}

async function runBundle(bundle: Bundle, options: RunOptions, host: Host): Promise<ContainerExit> {
  const { id, config, root } = bundle
  const { signal } = options
  if (signal?.aborted) throw cancelled(signal)
  if (process.geteuid?.() !== 0)
    throw new KauriError('NOT_ROOT', 'running a container needs root', { hint: 'use sudo' })
  const seccomp = await seccompFilter(config, filterDirectory(host))
  const resources = config.linux.resources ?? {}
  const planned = planCgroup(host.layout, id, { resources, allHierarchies: showsCgroups(config) })
  const mountPoints = planMountPoints(config, root, path.join(host.runRoot, id))
  await using traces = new AsyncDisposableStack()
  const cgroups = planned.map(({ directory }) => directory)
  const layer = mountPoints === undefined ? {} : { mountPoints: mountPoints.directory }
  const record = writeRecord(host.runRoot, { id, owner: ownIdentity(), cgroups, ...layer })
  traces.defer(async () => {
    removeMountPoints(mountPoints)
    await removeCgroup(cgroups)
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
  const report = await launch(plan, options)
  removeMade(root, report)
  return exitOf(report, cgroup, options)
}

function filterDirectory({ cacheRoot }: Host): string | undefined {
  return cacheRoot === undefined ? undefined : path.join(cacheRoot, 'seccomp')
}

function showsCgroups({ mounts }: RuntimeConfig): boolean {
  return mounts.some(({ type }) => type === 'cgroup' || type === 'cgroup2')
}

function removeMountPoints(mountPoints: MountPointLayer | undefined): void {
  if (mountPoints !== undefined) rmSync(mountPoints.directory, { recursive: true, force: true })
}

/** The kernel marks a volatile overlay so that nobody trusts it after a crash; here whoever needs it whole has synced it. */
function clearVolatileMark(root: RootMount): void {
  if (root.kind !== 'overlay' || root.work === undefined) return
  const mark = path.join(root.work, 'work', 'incompat')
  if (existsSync(mark)) rmSync(mark, { recursive: true, force: true })
}

function removeMade(root: RootMount, { made }: LaunchReport): void {
  const directory = root.kind === 'directory' ? root.path : root.upper
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

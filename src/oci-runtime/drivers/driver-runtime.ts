// Runs bundles by a driver. What is made for it is recorded before, its program is guarded so that it ends with kauri, and
// the root is mounted by the launcher, for Node never mounts.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KauriError } from '../../core/errors.ts'
import { cancelled } from '../../core/process.ts'
import { compiledPath } from '../../native/compile-native.ts'
import { guardCommand } from '../../native/guard.ts'
import type { RuntimeConfig, RuntimeMount } from '../../oci/runtime-config.ts'
import { removeCgroup } from '../../runtime/cgroup.ts'
import { type CgroupLayout, readCgroupLayout } from '../../runtime/cgroup-layout.ts'
import { readLines } from '../../runtime/container-output.ts'
import { makeMountPoints, planMountPoints } from '../../runtime/mount-points.ts'
import { encodePlan } from '../../runtime/plan-writer.ts'
import { ownIdentity, writeRecord } from '../../runtime/run-record.ts'
import type {
  Bundle,
  ContainerExit,
  ContainerIo,
  RunOptions,
  Runtime,
} from '../../runtime/runtime.ts'
import { clearVolatileMark, removeMountPoints, requireRoot } from '../../runtime/runtime-host.ts'
import type { ContainerDriver, DriverCommand, DriverGround } from './driver.ts'
import { rootedPlan } from './rooted-plan.ts'

export interface DriverHost {
  /** Run-time state, such as /run/kauri. */
  readonly runRoot: string
}

/** A driver as a runtime. */
export function driverRuntime(driver: ContainerDriver, host: DriverHost): Runtime {
  return {
    name: driver.name,
    run: (bundle, options) => runByDriver(driver, { bundle, options, host }),
  }
}

interface Run {
  readonly bundle: Bundle
  readonly options: RunOptions
  readonly host: DriverHost
}

async function runByDriver(
  driver: ContainerDriver,
  { bundle, options, host: { runRoot } }: Run,
): Promise<ContainerExit> {
  requireRoot()
  const { id, root, network } = bundle
  if (options.signal?.aborted) throw cancelled(options.signal)
  const directory = path.join(runRoot, 'drivers', id)
  const place = cgroupPlace(id)
  const config = { ...bundle.config, linux: { ...bundle.config.linux, cgroupsPath: place } }
  const mountPoints = planMountPoints(config, root, directory)
  await using traces = new AsyncDisposableStack()
  const cgroups = cgroupDirectories(readCgroupLayout(), place)
  const layer = mountPoints === undefined ? {} : { mountPoints: mountPoints.directory }
  const record = writeRecord(runRoot, { id, owner: ownIdentity(), cgroups, ...layer })
  traces.defer(async () => {
    removeMountPoints(mountPoints)
    await removeCgroup(cgroups)
    rmSync(directory, { recursive: true, force: true })
    record[Symbol.dispose]()
  })
  const ground: DriverGround = {
    id,
    directory,
    rootfs: path.join(directory, 'rootfs'),
    config: withPlainMounts(config, directory, network !== undefined),
    hasNetwork: network !== undefined,
  }
  mkdirSync(ground.rootfs, { recursive: true, mode: 0o700 })
  for (const point of config.mounts.flatMap(mount => ownPlace(mount, directory) ?? []))
    makePlace(point)
  if (mountPoints !== undefined) makeMountPoints(mountPoints)
  clearVolatileMark(root)
  const command = driver.prepare(ground)
  const plan = path.join(directory, 'plan')
  const records = rootedPlan({ bundle, ground, command, mountPoints: mountPoints?.directory })
  writeFileSync(plan, encodePlan(records), { mode: 0o600 })
  const code = await runProgram(plan, command, options)
  if (options.signal?.aborted) throw cancelled(options.signal)
  return driver.conclude(code, ground)
}

function cgroupPlace(id: string): string {
  return `/kauri/${id}`
}

function cgroupDirectories({ hierarchies }: CgroupLayout, place: string): readonly string[] {
  return hierarchies.map(({ mountPoint }) => path.join(mountPoint, place))
}

/** Where a mount of kauri's own kind is mounted for the driver, that binds it; undefined for all others. */
function ownPlace(
  { destination, tree, file }: RuntimeMount,
  directory: string,
): { readonly place: string; readonly isFile: boolean } | undefined {
  if (tree === undefined && file === undefined) return undefined
  const name = Buffer.from(destination).toString('hex')
  return { place: path.join(directory, 'mounts', name), isFile: tree?.kind !== 'directory' }
}

function makePlace({ place, isFile }: { readonly place: string; readonly isFile: boolean }): void {
  mkdirSync(isFile ? path.dirname(place) : place, { recursive: true, mode: 0o700 })
  if (isFile) writeFileSync(place, '', { mode: 0o600 })
}

function withPlainMounts(
  config: RuntimeConfig,
  directory: string,
  hasNetwork: boolean,
): RuntimeConfig {
  const mounts = config.mounts.map(mount => {
    const own = ownPlace(mount, directory)
    const { destination, options } = mount
    const words = [...new Set(['rbind', ...options])]
    return own === undefined
      ? mount
      : { destination, type: 'bind', source: own.place, options: words }
  })
  const { linux } = config
  if (!hasNetwork) return { ...config, mounts }
  // That namespace is there already, with its settings.
  const namespaces = linux.namespaces.filter(({ type }) => type !== 'network')
  const settings = Object.entries(linux.sysctl ?? {}).filter(([name]) => !name.startsWith('net.'))
  return {
    ...config,
    mounts,
    linux: { ...linux, namespaces, sysctl: Object.fromEntries(settings) },
  }
}

async function runProgram(
  plan: string,
  command: DriverCommand,
  { io, signal, onStart }: RunOptions,
): Promise<number> {
  const [guard = '', ...words] = guardCommand()
  const child = spawn(guard, [...words, compiledPath('launcher'), 'rooted', plan], {
    stdio: streamsFor(io),
    env: {},
  })
  const ended = endOf(child)
  const kill = (): void => void child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  if (signal?.aborted) kill()
  const reading: Promise<unknown>[] = [ended]
  if (io.kind === 'lines') {
    child.stdin?.on('error', () => {})
    child.stdin?.end(io.input)
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) reading.push(readLines(stream, io.onLine))
  }
  try {
    await isReady(command.readyFile, child)
    const { pid = 0 } = child
    if (child.exitCode === null) onStart?.({ pid, kill: name => void child.kill(name) })
    await Promise.all(reading)
    return await ended
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

function streamsFor(io: ContainerIo): StdioOptions {
  if (io.kind === 'lines') return [io.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe']
  return [io.input === false ? 'ignore' : 'inherit', 'inherit', 'inherit']
}

function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', error =>
      reject(new KauriError('LAUNCH_FAILED', 'the driver cannot be started', { cause: error })),
    )
    // Killed: what a shell calls 128+9.
    child.once('close', code => resolve(code ?? 137))
  })
}

/** Before that the program would end by a signal instead of passing it on. */
async function isReady(file: string | undefined, child: ChildProcess): Promise<void> {
  if (file === undefined) return
  const isWaiting = (): boolean =>
    !existsSync(file) && child.exitCode === null && child.signalCode === null
  while (isWaiting()) await delay(2)
}

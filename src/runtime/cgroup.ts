// The cgroups of one container: made with their limits before it starts, read and removed after its end. A limit that
// this machine cannot hold is an error, never silence.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import type { Resources } from '../oci/runtime-config.ts'
import type { CgroupHierarchy, CgroupLayout } from './cgroup-layout.ts'
import { hasController, neededControllers } from './cgroup-needs.ts'
import { version1Writes } from './cgroup-v1.ts'
import { version2Writes } from './cgroup-v2.ts'
import { compileDeviceRules } from './device-program.ts'

/** One file of a cgroup and what goes into it. */
export interface CgroupWrite {
  readonly file: string
  readonly value: string
  /** What the user asked for, for the error when the kernel refuses; undefined where nobody asked. */
  readonly limit?: string
}

/** Where a container's cgroups are, and what the launcher must do about them. */
export interface ContainerCgroup {
  /** Every directory made for it. */
  readonly directories: readonly string[]
  /**
   * Version 1: `tasks` of each hierarchy, into which the container's first process writes itself. Into `cgroup.procs`
   * it would wait 10 to 20 ms for a lock that a process of one thread does not need.
   */
  readonly taskFiles: readonly string[]
  /** Version 2: the cgroup in which the first process is born. */
  readonly version2Directory?: string | undefined
  /** Version 2 limits devices by a program that the launcher attaches to its directory. */
  readonly deviceProgram?: Uint8Array
  /** False where nothing limits devices, so that mounts must. */
  readonly limitsDevices: boolean
}

/** All of kauri's cgroups are below this directory of each hierarchy. */
const parentName = 'kauri'

/** Directories that the container's cgroups will have; nothing is made yet. */
export function planCgroup(
  layout: CgroupLayout,
  id: string,
  use: CgroupUse,
): readonly PlannedDirectory[] {
  const needed = neededControllers(use.resources)
  const deviceHolder = deviceHierarchy(layout, use.resources)
  const shown = use.allHierarchies ? visibleHierarchies(layout) : []
  const place = placeOf(id, use.cgroupsPath)
  return layout.hierarchies
    .filter(
      hierarchy =>
        shown.includes(hierarchy) ||
        hierarchy === deviceHolder ||
        [...needed].some(controller => hasController(hierarchy.controllers, controller)),
    )
    .map(hierarchy => ({
      hierarchy,
      directory: place(hierarchy),
    }))
}

export interface CgroupUse {
  readonly resources: Resources
  readonly allHierarchies: boolean
  /** As the configuration has it: absolute below each mount point, else below this process's own cgroup. */
  readonly cgroupsPath?: string | undefined
}

/** @throws USAGE for a path that would lead out of the hierarchy */
function placeOf(
  id: string,
  cgroupsPath: string | undefined,
): (hierarchy: CgroupHierarchy) => string {
  if (cgroupsPath === undefined || cgroupsPath === '')
    return hierarchy => path.join(parentDirectory(hierarchy), id)
  const isTop = path.posix.resolve('/', cgroupsPath) === '/'
  if (isTop || cgroupsPath.split('/').includes('..'))
    throw new KauriError('USAGE', `${JSON.stringify(cgroupsPath)} is no place for a cgroup`)
  if (cgroupsPath.startsWith('/')) return ({ mountPoint }) => path.join(mountPoint, cgroupsPath)
  return ({ version, mountPoint, ownDirectory }) =>
    path.join(version === 2 ? mountPoint : ownDirectory, cgroupsPath)
}

/**
 * A container's cgroups go with all that is in them, so none may be somebody else's.
 * @throws NAME_IN_USE where there are processes in one
 */
export function refuseOccupied(planned: readonly PlannedDirectory[]): void {
  for (const { directory } of planned)
    if (processesIn(directory).length > 0)
      throw new KauriError('NAME_IN_USE', `there are processes in the cgroup ${directory}`, {
        hint: 'name a cgroup of the container’s own',
      })
}

export interface PlannedDirectory {
  readonly hierarchy: CgroupHierarchy
  readonly directory: string
}

/** Those that a container sees in /sys/fs/cgroup: version 1 where there is any of it, as all runtimes show it. */
export function visibleHierarchies({ hierarchies }: CgroupLayout): readonly CgroupHierarchy[] {
  const version1 = hierarchies.filter(({ version }) => version === 1)
  return version1.length > 0 ? version1 : hierarchies
}

/**
 * Below this process's own cgroup, whose limits then hold for the container, too. In version 2 only cgroups without
 * processes can pass controllers on, so there it is the top.
 */
function parentDirectory(hierarchy: CgroupHierarchy): string {
  const top = hierarchy.version === 2 ? hierarchy.mountPoint : hierarchy.ownDirectory
  return path.join(top, parentName)
}

/** The hierarchy that limits devices: version 1's controller where it is mounted, else a program in version 2. */
function deviceHierarchy(layout: CgroupLayout, resources: Resources): CgroupHierarchy | undefined {
  if (resources.devices === undefined) return undefined
  return (
    layout.hierarchies.find(({ controllers }) => controllers.includes('devices')) ??
    layout.hierarchies.find(({ version }) => version === 2)
  )
}

/** Makes the planned cgroups and sets their limits. @throws LIMIT_UNAVAILABLE; what was made stays for removeCgroup */
export function createCgroup(
  layout: CgroupLayout,
  planned: readonly PlannedDirectory[],
  resources: Resources,
): ContainerCgroup {
  refuseMissing(planned, neededControllers(resources))
  const deviceHolder = deviceHierarchy(layout, resources)
  for (const { hierarchy, directory } of planned) {
    makeDirectory(directory)
    const writes =
      hierarchy.version === 1
        ? version1Writes(hierarchy, directory, resources)
        : version2Writes(hierarchy, directory, resources)
    for (const write of writes) applyWrite(write)
  }
  const version2 = planned.find(({ hierarchy }) => hierarchy.version === 2)
  const needsProgram = version2 !== undefined && version2.hierarchy === deviceHolder
  return {
    directories: planned.map(({ directory }) => directory),
    taskFiles: planned
      .filter(({ hierarchy }) => hierarchy.version === 1)
      .map(({ directory }) => path.join(directory, 'tasks')),
    version2Directory: version2?.directory,
    limitsDevices: deviceHolder !== undefined,
    ...(needsProgram ? { deviceProgram: compileDeviceRules(resources.devices ?? []) } : {}),
  }
}

/** Sets limits of cgroups that are there. @throws LIMIT_UNAVAILABLE */
export function changeLimits(
  layout: CgroupLayout,
  directories: readonly string[],
  resources: Resources,
): void {
  const { devices: _, ...limits } = resources
  const planned = layout.hierarchies.flatMap(hierarchy => {
    const directory = directories.find(place => place.startsWith(`${hierarchy.mountPoint}/`))
    return directory === undefined ? [] : [{ hierarchy, directory }]
  })
  refuseMissing(planned, neededControllers(limits))
  for (const { hierarchy, directory } of planned) {
    const writes =
      hierarchy.version === 1
        ? version1Writes(hierarchy, directory, limits)
        : version2Writes(hierarchy, directory, limits)
    for (const write of inPossibleOrder(writes)) applyWrite(write)
  }
}

/** The kernel keeps memory below memory plus swap at every moment, so which goes first depends on what was. */
function inPossibleOrder(writes: readonly CgroupWrite[]): readonly CgroupWrite[] {
  const memory = writes.find(({ file }) => file.endsWith('/memory.limit_in_bytes'))
  const both = writes.find(({ file }) => file.endsWith('/memory.memsw.limit_in_bytes'))
  if (memory === undefined || both === undefined) return writes
  const before = Number(readFileSync(both.file, 'utf8'))
  const wanted = Number(memory.value)
  if (wanted >= 0 && wanted <= before) return writes
  return [both, ...writes.filter(write => write !== both)]
}

/** Ids of the processes in a cgroup and those below it. */
export function processesIn(directory: string): readonly number[] {
  let below: readonly string[]
  try {
    below = readdirSync(directory, { withFileTypes: true })
      .filter(entry => entry.isDirectory())
      .map(({ name }) => path.join(directory, name))
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENODEV')) return []
    throw error
  }
  return [...readPids(path.join(directory, 'cgroup.procs')), ...below.flatMap(processesIn)]
}

function refuseMissing(planned: readonly PlannedDirectory[], needed: ReadonlySet<string>): void {
  for (const controller of needed)
    if (!planned.some(({ hierarchy }) => hasController(hierarchy.controllers, controller)))
      throw new KauriError(
        'LIMIT_UNAVAILABLE',
        `this machine has no cgroup controller for ${controller}, so the limit would not hold`,
        { hint: 'run without the limit, or enable the controller in the kernel' },
      )
}

/** Somebody else's removal of the parent may come between. */
function makeDirectory(directory: string): void {
  for (let attempt = 0; ; attempt++)
    try {
      mkdirSync(directory, { recursive: true })
      return
    } catch (error) {
      if (!hasErrno(error, 'ENOENT') || attempt >= 5) throw error
    }
}

function applyWrite({ file, value, limit }: CgroupWrite): void {
  try {
    writeFileSync(file, value)
  } catch (error) {
    throw new KauriError(
      'LIMIT_UNAVAILABLE',
      `the kernel does not take ${limit ?? `${value} for ${file}`}`,
      {
        hint: hasErrno(error, 'ENOENT')
          ? 'this kernel has no such limit; run without it'
          : `${file} refused ${JSON.stringify(value)}`,
        cause: error,
      },
    )
  }
}

/** True when the kernel killed a process of the container for want of memory. */
export function hadOutOfMemory(directories: readonly string[]): boolean {
  return directories.some(directory =>
    ['memory.events', 'memory.oom_control'].some(name => {
      const file = path.join(directory, name)
      if (!existsSync(file)) return false
      return Number(/^oom_kill (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? 0) > 0
    }),
  )
}

/** Kills what is left in the cgroups and removes them; idempotent. @throws LAUNCH_FAILED when processes outlast five seconds */
export async function removeCgroup(directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    thaw(directory, { killing: true })
    const deadline = performance.now() + 5000
    while (!removeDirectory(directory)) {
      killAll(directory)
      if (performance.now() > deadline)
        throw new KauriError('LAUNCH_FAILED', `processes in ${directory} do not end`)
      await delay(1)
    }
    removeIfEmpty(path.dirname(directory))
  }
}

/** In version 1 what stands still does not die either. With `killing` nothing of it runs on after that. */
export function thaw(directory: string, { killing }: { readonly killing: boolean }): void {
  const freezer = path.join(directory, 'freezer.state')
  if (readTextSync(freezer)?.trim() !== 'FROZEN') return
  if (killing) killAll(directory)
  writeFileSync(freezer, 'THAWED')
}

/** False while processes are in it. */
function removeDirectory(directory: string): boolean {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return true
    if (!hasErrno(error, 'EBUSY')) throw error
    return false
  }
  return true
}

function removeIfEmpty(parent: string): void {
  if (path.basename(parent) !== parentName) return
  try {
    rmdirSync(parent)
  } catch {
    // Another container is in it.
  }
}

/** Every process of the cgroup and of those below it, which a container with a writable cgroup may have made. */
function killAll(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) {
      const below = path.join(directory, entry.name)
      killAll(below)
      removeDirectory(below)
    }
  for (const pid of readPids(path.join(directory, 'cgroup.procs')))
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself.
    }
}

function readPids(file: string): readonly number[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

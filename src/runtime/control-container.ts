// What can be done to a container that is there: signals, stopping and resuming all of it, other limits.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import type { Resources } from '../oci/runtime-config.ts'
import { changeLimits, processesIn, thaw } from './cgroup.ts'
import { type StoredContainer, writeStored } from './container-files.ts'
import { getStored, requireRunning } from './find-container.ts'
import type { RuntimeHost } from './runtime-host.ts'

interface Killing {
  readonly signal: NodeJS.Signals | number
  readonly all: boolean
}

/** @throws CONTAINER_NOT_RUNNING, CONTAINER_NOT_FOUND, USAGE for a number that is no signal */
export function killContainer(runRoot: string, id: string, { signal, all }: Killing): void {
  const number = signalNumber(signal)
  const stored = getStored(runRoot, id)
  if (all) {
    const pids = processesOf(stored)
    for (const pid of pids) sendSignal(pid, number)
    if (pids.length > 0) return letDie(stored, number)
  }
  sendSignal(requireRunning(runRoot, id).pid, number)
  letDie(stored, number)
}

/** A paused container ends by SIGKILL, too. */
function letDie({ cgroup: { directories } }: StoredContainer, number: number): void {
  if (number === constants.signals.SIGKILL)
    for (const directory of directories) thaw(directory, { killing: false })
}

const lastSignal = 64

function signalNumber(signal: NodeJS.Signals | number): number {
  const number = typeof signal === 'number' ? signal : constants.signals[signal]
  if (Number.isInteger(number) && number >= 0 && number <= lastSignal) return number
  throw new KauriError('USAGE', `${signal} is no signal`)
}

/** A process that ended meanwhile needs none. */
function sendSignal(pid: number, number: number): void {
  try {
    process.kill(pid, number)
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) throw error
  }
}

/** Ids of all processes in the container's cgroups, the ones below included. */
export function processesOf({ cgroup: { directories } }: StoredContainer): readonly number[] {
  for (const directory of directories) {
    const pids = processesIn(directory)
    if (pids.length > 0) return pids
  }
  return []
}

/** How long the kernel may take to stop or resume everything. */
const freezeLimitMs = 10_000

/** @throws CONTAINER_NOT_RUNNING, LIMIT_UNAVAILABLE without a freezer */
export async function freezeContainer(runRoot: string, id: string, stop: boolean): Promise<void> {
  const { status } = requireRunning(runRoot, id)
  const stored = getStored(runRoot, id)
  if (stop === (status === 'paused'))
    throw new KauriError(
      'CONTAINER_NOT_RUNNING',
      stop ? `the container ${id} is paused already` : `the container ${id} is not paused`,
    )
  const freezer = freezerOf(stored)
  const deadline = performance.now() + freezeLimitMs
  for (;;) {
    // Version 1 needs to be told again where processes were added meanwhile.
    writeFileSync(freezer.file, stop ? freezer.stop : freezer.go)
    if (freezer.isDone(stop)) return
    if (performance.now() > deadline) break
    await delay(1)
  }
  if (stop) writeFileSync(freezer.file, freezer.go)
  throw new KauriError('LAUNCH_FAILED', `the processes of the container ${id} do not stop`)
}

interface Freezer {
  readonly file: string
  readonly stop: string
  readonly go: string
  isDone(stop: boolean): boolean
}

function freezerOf(stored: StoredContainer): Freezer {
  for (const directory of stored.cgroup.directories) {
    const version1 = path.join(directory, 'freezer.state')
    if (existsSync(version1))
      return {
        file: version1,
        stop: 'FROZEN',
        go: 'THAWED',
        isDone: stop => readFileSync(version1, 'utf8').trim() === (stop ? 'FROZEN' : 'THAWED'),
      }
  }
  for (const directory of stored.cgroup.directories) {
    const version2 = path.join(directory, 'cgroup.freeze')
    if (existsSync(version2))
      return {
        file: version2,
        stop: '1',
        go: '0',
        isDone: stop =>
          readFileSync(path.join(directory, 'cgroup.events'), 'utf8').includes(
            `frozen ${stop ? 1 : 0}`,
          ),
      }
  }
  throw new KauriError('LIMIT_UNAVAILABLE', 'this machine has no cgroup that stops processes', {
    hint: 'mount the freezer controller, or cgroup version 2',
  })
}

/** @throws CONTAINER_NOT_RUNNING, LIMIT_UNAVAILABLE */
export function updateContainer(
  id: string,
  resources: Resources,
  { runRoot, layout }: RuntimeHost,
): void {
  requireRunning(runRoot, id)
  const stored = getStored(runRoot, id)
  changeLimits(layout, stored.cgroup.directories, resources)
  const { config } = stored
  const merged = mergeResources(config.linux.resources ?? {}, resources)
  writeStored(runRoot, {
    ...stored,
    config: { ...config, linux: { ...config.linux, resources: merged } },
  })
}

/** Each group of limits keeps what was not changed. */
function mergeResources(before: Resources, change: Resources): Resources {
  return {
    ...before,
    ...change,
    ...(change.memory && { memory: { ...before.memory, ...change.memory } }),
    ...(change.cpu && { cpu: { ...before.cpu, ...change.cpu } }),
    ...(before.devices && { devices: before.devices }),
  }
}

// Which containers there are and how they are, told from their files and processes.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { readTextSync } from '../core/text-file.ts'
import { readExit, readStarted, readStored, type StoredContainer } from './container-files.ts'
import type { ContainerStatus } from './container-runtime.ts'
import { isRunning } from './run-record.ts'

/** @throws CONTAINER_NOT_FOUND */
export function getStored(runRoot: string, id: string): StoredContainer {
  const stored = readStored(runRoot, id)
  if (stored !== undefined) return stored
  throw new KauriError('CONTAINER_NOT_FOUND', `there is no container ${id}`)
}

/** Undefined where there is no such container. */
export function statusOf(runRoot: string, id: string): ContainerStatus | undefined {
  const stored = readStored(runRoot, id)
  if (stored === undefined) return undefined
  const { process, monitor, config, createdMs } = stored
  const exit = readExit(runRoot, id)
  const startedMs = readStarted(runRoot, id)
  const runs = exit === undefined && process !== undefined && isRunning(process)
  return {
    id,
    status: runs ? livingStatus(stored, startedMs) : 'stopped',
    pid: runs ? process.pid : 0,
    startTicks: process?.startTicks ?? '',
    ...(monitor === undefined ? {} : { monitorPid: monitor.pid }),
    createdMs,
    ...(startedMs === undefined ? {} : { startedMs }),
    ...(exit === undefined ? {} : { exit }),
    terminal: config.process.terminal === true,
    config,
  }
}

function livingStatus(
  stored: StoredContainer,
  startedMs: number | undefined,
): 'created' | 'running' | 'paused' {
  if (isFrozen(stored)) return 'paused'
  return startedMs === undefined ? 'created' : 'running'
}

/** The file that freezes and tells of it: version 1's where it is, since its cgroups hold the processes, too. */
export function isFrozen({ cgroup: { directories } }: StoredContainer): boolean {
  return directories.some(directory => {
    const version1 = readTextSync(path.join(directory, 'freezer.state'))
    if (version1 !== undefined) return version1.trim() === 'FROZEN'
    return readTextSync(path.join(directory, 'cgroup.freeze'))?.trim() === '1'
  })
}

/** @throws CONTAINER_NOT_FOUND; CONTAINER_NOT_RUNNING where it has ended */
export function requireRunning(runRoot: string, id: string): ContainerStatus {
  const status = statusOf(runRoot, id)
  if (status === undefined)
    throw new KauriError('CONTAINER_NOT_FOUND', `there is no container ${id}`)
  if (status.status === 'stopped')
    throw new KauriError('CONTAINER_NOT_RUNNING', `the container ${id} is not running`)
  return status
}

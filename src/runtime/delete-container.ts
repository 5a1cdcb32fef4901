// Removes everything of a container that has ended.

import { rmSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { removeCgroup, thaw } from './cgroup.ts'
import { containerDirectory, readExit, type StoredContainer } from './container-files.ts'
import { getStored, statusOf } from './find-container.ts'
import { isMountPointDirectory, removeMadeEntries } from './mount-points.ts'
import { isRunning, removeRecord } from './run-record.ts'

/** Idempotent as long as its files are there. @throws CONTAINER_NOT_FOUND; CONTAINER_RUNNING unless `force` */
export async function deleteContainer(runRoot: string, id: string, force: boolean): Promise<void> {
  const stored = getStored(runRoot, id)
  const status = statusOf(runRoot, id)?.status ?? 'stopped'
  if (status !== 'stopped' && !force)
    throw new KauriError('CONTAINER_RUNNING', `the container ${id} is ${status}`, {
      hint: 'end it first',
    })
  await endFirstProcess(stored)
  await lastWords(runRoot, stored)
  // Kills what is left in it, stopped processes too.
  await removeCgroup(stored.cgroup.directories)
  if (stored.made !== undefined) removeMadeEntries(stored.made.directory, stored.made.entries)
  if (stored.mountPoints !== undefined && isMountPointDirectory(stored.mountPoints))
    rmSync(stored.mountPoints, { recursive: true, force: true })
  // A monitor that is late may add a file meanwhile.
  rmSync(containerDirectory(runRoot, id), {
    recursive: true,
    force: true,
    maxRetries: 10,
    retryDelay: 10,
  })
  removeRecord(runRoot, id)
}

const endLimitMs = 10_000

/** The monitor writes how it ended, and tells those who attached. */
async function lastWords(runRoot: string, { id, monitor }: StoredContainer): Promise<void> {
  if (monitor === undefined) return
  const deadline = performance.now() + endLimitMs
  while (isRunning(monitor) && readExit(runRoot, id) === undefined) {
    if (performance.now() > deadline) return
    await delay(1)
  }
}

async function endFirstProcess({ id, process: first, cgroup }: StoredContainer): Promise<void> {
  if (first === undefined) return
  const deadline = performance.now() + endLimitMs
  while (isRunning(first)) {
    try {
      process.kill(first.pid, 'SIGKILL')
    } catch (error) {
      if (!hasErrno(error, 'ESRCH')) throw error
    }
    for (const directory of cgroup.directories) thaw(directory, { killing: true })
    if (performance.now() > deadline)
      throw new KauriError('CONTAINER_RUNNING', `the container ${id} does not end`)
    await delay(1)
  }
}

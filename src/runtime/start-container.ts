// Starts a container that waits at its gate (launcher/gate.h): a connection opens it, and ends when the program is executed.

import { closeSync, constants, openSync, rmSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { containerDirectory, writeStarted } from './container-files.ts'
import type { StartOptions } from './container-runtime.ts'
import { getStored, requireRunning } from './find-container.ts'
import { readReports } from './launch.ts'
import { reportReader } from './launcher-reports.ts'

/** @throws what ContainerRuntime.start throws */
export async function startContainer(
  runRoot: string,
  id: string,
  { stateJson = '' }: StartOptions = {},
): Promise<void> {
  const { config } = getStored(runRoot, id)
  requireRunning(runRoot, id)
  const directory = containerDirectory(runRoot, id)
  const gate = await connectIn(directory, 'start.sock').catch((error: unknown) => {
    if (!hasErrno(error, 'ENOENT', 'ECONNREFUSED')) throw error
    throw notWaiting(id, error)
  })
  try {
    if ((config.hooks?.startContainer ?? []).length > 0) gate.write(withLength(stateJson))
    const reader = reportReader({})
    await readReports(gate, reader.onLine)
    const { failure } = reader.result()
    if (failure !== undefined) throw failure
  } finally {
    gate.destroy()
  }
  writeStarted(runRoot, id)
  rmSync(path.join(directory, 'start.sock'), { force: true })
}

function notWaiting(id: string, cause: unknown): KauriError {
  return new KauriError('CONTAINER_NOT_RUNNING', `the container ${id} does not wait for a start`, {
    hint: 'it was started before, or has ended',
    cause,
  })
}

/** A state as the launcher reads it. */
export function withLength(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Connects to a unix socket through its directory's descriptor, for a socket's path has 107 bytes at most. */
export async function connectIn(directory: string, name: string): Promise<Socket> {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await new Promise((resolve, reject) => {
      const socket = createConnection(`/proc/self/fd/${fd}/${name}`)
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        // The other side may end at any moment; readers see it.
        socket.on('error', () => {})
        resolve(socket)
      })
    })
  } finally {
    closeSync(fd)
  }
}

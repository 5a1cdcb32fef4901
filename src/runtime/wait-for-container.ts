// Waits for a container's end: its monitor says it, or whoever stays with it; without either its process is looked at.

import { setTimeout as delay } from 'node:timers/promises'
import { hasErrno } from '../core/errors.ts'
import { hadOutOfMemory } from './cgroup.ts'
import { readExit, type StoredContainer } from './container-files.ts'
import { getStored } from './find-container.ts'
import { connectMonitor } from './monitor-client.ts'
import { isRunning } from './run-record.ts'
import type { ContainerExit } from './runtime.ts'

interface Waiting {
  /** The end as the launcher tells it, where it stays with this process. */
  readonly staying: Promise<number | undefined> | undefined
  readonly signal: AbortSignal | undefined
}

/** The code of a container whose monitor was killed, and with it the container. */
const killedCode = 137
/** Nobody was there to learn the code. */
const unknownCode = 255

/** @throws CONTAINER_NOT_FOUND; the signal's reason when it aborts */
export async function waitForContainer(
  runRoot: string,
  id: string,
  { staying, signal }: Waiting,
): Promise<ContainerExit> {
  const stored = getStored(runRoot, id)
  if (staying !== undefined)
    return {
      code: (await staying) ?? killedCode,
      outOfMemory: hadOutOfMemory(stored.cgroup.directories),
    }
  if (stored.monitor === undefined) return await watchProcess(stored, signal)
  const code = await codeFromMonitor(runRoot, id, signal)
  const exit = readExit(runRoot, id)
  return exit ?? { code: code ?? killedCode, outOfMemory: false }
}

/** Undefined where the monitor is gone, or was killed while it was asked. */
async function codeFromMonitor(
  runRoot: string,
  id: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  try {
    using monitor = await connectMonitor(runRoot, id)
    using _ = onAbort(signal, () => monitor.close())
    for await (const frame of monitor.frames) if (frame.kind === 'exit') return frame.code
    signal?.throwIfAborted()
    return undefined
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ECONNREFUSED', 'ECONNRESET')) return undefined
    throw error
  }
}

function onAbort(signal: AbortSignal | undefined, work: () => void): Disposable {
  signal?.throwIfAborted()
  signal?.addEventListener('abort', work)
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', work) }
}

const firstPauseMs = 5
const longestPauseMs = 100

async function watchProcess(
  { process, cgroup }: StoredContainer,
  signal: AbortSignal | undefined,
): Promise<ContainerExit> {
  let pauseMs = firstPauseMs
  const runs = (): boolean => process !== undefined && isRunning(process)
  while (runs()) {
    await delay(pauseMs, undefined, { signal })
    pauseMs = Math.min(pauseMs * 2, longestPauseMs)
  }
  return { code: unknownCode, outOfMemory: hadOutOfMemory(cgroup.directories) }
}

// Ends containers: politely at first, then not. Also one that only waits to be started again.

import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { isAlive } from '../runtime/run-record.ts'
import type { ContainerState } from './container.ts'
import { tellEvent } from './container-events.ts'
import { getContainer, getRequest, markStopped, sweepContainers } from './container-records.ts'
import type { LifeHost } from './life-host.ts'
import { endsIn } from './lost-end.ts'
import { defaultStopSeconds, signalNumber, stopSignalOf } from './stop-signal.ts'

/** Undefined members: as the container was made. */
export interface StopOptions {
  readonly signal?: string | undefined
  /** -1: for ever. */
  readonly timeoutSeconds?: number | undefined
}

/** `gone`: it was to be removed at its end, and is. */
export type Stopped = 'stopped' | 'gone'

type StopHost = Pick<LifeHost, 'root' | 'runRoot' | 'runtime' | 'signal'>

/** Sends the stop signal, and SIGKILL when the time is over; done when nothing of the run is left. One that does not run is left alone. */
export async function stopContainer(
  asked: ContainerState,
  options: StopOptions,
  host: StopHost,
): Promise<Stopped> {
  markStopped(host.root, asked.id)
  const state = await settled(asked, host)
  if (state === undefined) return 'gone'
  if (!isUp(state)) return await endWaiting(state, host)
  const request = getRequest(host.root, state)
  const seconds = options.timeoutSeconds ?? request.spec.stopTimeoutSeconds ?? defaultStopSeconds
  await resumeIfPaused(state, host)
  sendSignal(state, options.signal ?? stopSignalOf(request), host)
  const endMs = seconds < 0 ? Number.POSITIVE_INFINITY : Date.now() + seconds * 1000
  if (!(await waitForEnd(state, host, endMs))) {
    sendSignal(state, 'SIGKILL', host)
    await waitForEnd(state, host, Date.now() + killMs)
  }
  tellEvent(host.runRoot, state, 'stop')
  return await afterEnd(state, host)
}

/** Kills everything in the container at once, and waits until nothing of the run is left. */
export async function killContainer(asked: ContainerState, host: StopHost): Promise<Stopped> {
  markStopped(host.root, asked.id)
  const state = await settled(asked, host)
  if (state === undefined) return 'gone'
  if (!isUp(state)) return await endWaiting(state, host)
  sendSignal(state, 'SIGKILL', host)
  await resumeIfPaused(state, host)
  await waitForEnd(state, host, Date.now() + killMs)
  return await afterEnd(state, host)
}

/** What its record says when no clean-up of a run is under way; undefined where it is gone. */
async function settled(
  { id }: ContainerState,
  host: StopHost,
): Promise<ContainerState | undefined> {
  if (host.runtime.state(id)?.exit !== undefined)
    await waitForEnd({ id }, host, Date.now() + killMs)
  return findState(host.root, id)
}

async function resumeIfPaused({ id }: ContainerState, { runtime }: StopHost): Promise<void> {
  if (runtime.state(id)?.status === 'paused') await runtime.resume(id)
}

/** How long a killed container may take to be gone: a full disk or a slow one. */
const killMs = 30_000

function isUp({ status }: ContainerState): boolean {
  return status === 'running' || status === 'paused'
}

/** Sends a signal to its first process; one that has just ended got it in time. @throws CONTAINER_NOT_RUNNING only where `isStrict` */
export function sendSignal(
  state: ContainerState,
  signal: string,
  { runtime, runRoot }: Pick<LifeHost, 'runtime' | 'runRoot'>,
  isStrict = false,
): void {
  const number = signalNumber(signal) ?? 0
  try {
    runtime.kill(state.id, number)
    tellEvent(runRoot, state, 'kill', { signal: String(number) })
  } catch (error) {
    const isOver = error instanceof KauriError && error.code.startsWith('CONTAINER_NOT_')
    if (!isOver || isStrict) throw error
  }
}

const firstPauseMs = 2
const longestPauseMs = 50

/** True when the run is over and cleaned up, its locks free. */
export async function waitForEnd(
  { id }: Pick<ContainerState, 'id'>,
  host: Pick<LifeHost, 'root' | 'runtime' | 'signal'>,
  deadlineMs: number,
): Promise<boolean> {
  const { root, signal } = host
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    endLost(id, host)
    const state = findState(root, id)
    if (state === undefined || !isUp(state)) return true
    if (Date.now() >= deadlineMs) return false
    await sleep(pauseMs, undefined, { signal })
  }
}

/** Where its monitor was killed nobody else writes down that the run is over. */
function endLost(
  id: ContainerState['id'],
  { root, runtime }: Pick<LifeHost, 'root' | 'runtime'>,
): void {
  const { status } = runtime.state(id) ?? {}
  if (status !== undefined && status !== 'stopped') return
  sweepContainers(root, endsIn(runtime))
}

/** Undefined where it is gone. */
export function findState(root: string, id: string): ContainerState | undefined {
  try {
    return getContainer(root, id)
  } catch (error) {
    if (error instanceof KauriError && error.code === 'CONTAINER_NOT_FOUND') return undefined
    throw error
  }
}

/** One that goes at its end is given the time to; one that ended by itself, a moment before it was stopped, may wait to run again. */
async function afterEnd(state: ContainerState, host: StopHost): Promise<Stopped> {
  if (!state.removeAfter) return await endWaiting(state, host)
  for (const deadlineMs = Date.now() + killMs; Date.now() < deadlineMs; ) {
    if (findState(host.root, state.id) === undefined) return 'gone'
    await sleep(longestPauseMs, undefined, { signal: host.signal })
  }
  return 'stopped'
}

/** Nothing runs: what waits with the locks ends, and the record says so. */
async function endWaiting({ id }: Pick<ContainerState, 'id'>, host: StopHost): Promise<Stopped> {
  const state = findState(host.root, id)
  if (state?.status !== 'restarting') return state === undefined ? 'gone' : 'stopped'
  const waiting = state.end?.restarting
  if (waiting !== undefined && isAlive(waiting)) {
    try {
      process.kill(waiting.pid, 'SIGTERM')
    } catch (error) {
      if (!hasErrno(error, 'ESRCH')) throw error
    }
  }
  for (const deadlineMs = Date.now() + killMs; Date.now() < deadlineMs; ) {
    const now = findState(host.root, state.id)
    if (now === undefined) return 'gone'
    // It may have begun to run in this very moment.
    if (isUp(now)) return await killContainer(now, host)
    if (now.status !== 'restarting') break
    await sleep(firstPauseMs, undefined, { signal: host.signal })
  }
  return 'stopped'
}

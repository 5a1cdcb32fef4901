// What kauri does when a container has ended: the monitor has become this process, with the container's locks. It writes
// down how it ended, removes what the run had on the host, and then the container goes, waits to be started again, or stays.

import { spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { compiledPath } from '../native/compile-native.ts'
import { identityOf, type ProcessIdentity } from '../runtime/run-record.ts'
import type { ContainerEnd, ContainerId } from './container.ts'
import { tellEvent } from './container-events.ts'
import { forgetNetwork } from './container-network.ts'
import {
  getRequest,
  inheritContainer,
  type OwnedContainer,
  readRequestOf,
  readRunOf,
  wasStopped,
} from './container-records.ts'
import type { LifeHost } from './life-host.ts'
import { removeOwned } from './remove-container.ts'
import { nextRestart } from './restart-policy.ts'
import { startContainer } from './start-container.ts'

/** The word with which kauri is called when the wait before a restart is over. */
export const restartCommand = 'container-restart'

/** Descriptors of the container's locks in this process: the container's own, the tree's, those of its network. */
export interface InheritedLocks {
  readonly first: number
  readonly count: number
}

/** Ends a run. Where the container shall run again a small process waits for that, with its locks. */
export async function endContainer(
  id: ContainerId,
  { first, count }: InheritedLocks,
  host: LifeHost,
): Promise<void> {
  const container = inheritContainer(host.root, id, first)
  const { record } = container
  const exit = host.runtime.state(id)?.exit
  const end: ContainerEnd = {
    exitCode: exit?.code ?? 137,
    outOfMemory: exit?.outOfMemory ?? false,
    finishedMs: exit?.finishedMs ?? Date.now(),
  }
  await host.runtime.delete(id, { force: true })
  // The network's: its ports and addresses are free now. The tree's is kept for a next run.
  for (let fd = first + 2; fd < first + count; fd++) closeSync(fd)
  await forgetNetwork(readRequestOf(host.root, record)?.spec, id)
  const waitMs = waitBeforeRestart(container, end, host)
  const restarting =
    waitMs === undefined ? undefined : startWaiting(id, waitMs, { host, locks: { first, count } })
  container.end({ ...end, restarting })
  if (end.outOfMemory) tellEvent(host.runRoot, record, 'oom')
  tellEvent(host.runRoot, record, 'die', { exitCode: String(end.exitCode) })
  closeSync(first + 1)
  if (restarting !== undefined || !record.removeAfter) return container[Symbol.dispose]()
  await removeOwned(container, { volumes: true }, host)
  tellEvent(host.runRoot, record, 'destroy')
}

function waitBeforeRestart(
  { record }: OwnedContainer,
  { exitCode, finishedMs }: ContainerEnd,
  { root }: LifeHost,
): number | undefined {
  const run = readRunOf(root, record)
  if (run === undefined) return undefined
  return nextRestart(getRequest(root, record).spec.restart, {
    exitCode,
    ranMs: finishedMs - run.startedMs,
    wasStopped: wasStopped(root, record.id),
    restarts: run.restarts,
    lastWaitMs: run.lastWaitMs,
  })
}

/** A launcher that waits with the locks, in a tenth of the memory that this program takes. */
function startWaiting(
  id: ContainerId,
  waitMs: number,
  { host, locks: { first } }: { readonly host: LifeHost; readonly locks: InheritedLocks },
): ProcessIdentity | undefined {
  const { args, environment } = host.command([restartCommand, id, String(waitMs)])
  const none = Array.from({ length: first }, () => 'ignore' as const)
  const waiting = spawn(compiledPath('launcher'), ['later', String(waitMs), ...args], {
    cwd: '/',
    env: Object.fromEntries(environment.map(splitVariable)),
    detached: true,
    stdio: [...none, first, first + 1],
  })
  waiting.unref()
  return waiting.pid === undefined ? undefined : identityOf(waiting.pid)
}

function splitVariable(entry: string): readonly [string, string] {
  const equals = entry.indexOf('=')
  return [entry.slice(0, equals), entry.slice(equals + 1)]
}

/** Starts the container again; what fails ends it. */
export async function restartContainer(
  id: ContainerId,
  waitMs: number,
  locks: InheritedLocks,
  host: LifeHost,
): Promise<void> {
  const container = inheritContainer(host.root, id, locks.first)
  const run = readRunOf(host.root, container.record)
  // Somebody stopped it while it waited.
  if (wasStopped(host.root, id) || run === undefined) {
    container.stopWaiting()
    return container[Symbol.dispose]()
  }
  await startContainer(container, host, {
    restarts: run.restarts + 1,
    lastWaitMs: waitMs,
    treeLockFd: locks.first + 1,
  })
}

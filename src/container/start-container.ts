// Starts a container that this process has: takes its network, mounts its tree, lets a monitor make and hold it, and then
// lets its program run. When this returns the monitor alone has the container, with all locks.

import { KauriError } from '../core/errors.ts'
import { type ReopenedTree, snapshotId } from '../rootfs/rootfs.ts'
import type { ContainerLog, HostTimer } from '../runtime/container-runtime.ts'
import type { Bundle } from '../runtime/runtime.ts'
import type { ContainerId, StoredRequest } from './container.ts'
import { containerConfig } from './container-config.ts'
import { tellEvent } from './container-events.ts'
import { type ContainerNetwork, openContainerNetwork } from './container-network.ts'
import {
  clearStopped,
  getRequest,
  type OwnedContainer,
  takeContainer,
} from './container-records.ts'
import {
  checkIntervalMs,
  forgetHealth,
  healthPlanOf,
  startingHealth,
  writeHealth,
} from './health.ts'
import type { LifeHost } from './life-host.ts'
import { logOf } from './log-place.ts'
import { namespacePathsOf } from './namespace-paths.ts'
import { noteStart } from './unfinished-starts.ts'

/** How a run came about. */
export interface StartHow {
  /** Restarts by its policy since somebody started it. */
  readonly restarts: number
  /** The wait before it, milliseconds. */
  readonly lastWaitMs: number
  /** The tree's lock, which this process inherited. */
  readonly treeLockFd?: number | undefined
  /** Size of a terminal. */
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined
  /** Called when everything but the program is there: whoever attaches now misses nothing. */
  readonly beforeProgram?: (() => Promise<void>) | undefined
}

/** What `start` and `run` begin with. */
export const firstStart: StartHow = { restarts: 0, lastWaitMs: 0 }

/** The words with which the monitor starts kauri when the container has ended; then it holds so many locks. */
export const endedCommand = 'container-ended'
/** The words with which it does for a check of its health. */
export const healthCommand = 'container-health'

/**
 * Disposes the container in any case: whoever had it has given it away.
 * @throws NETWORK_UNAVAILABLE, LIMIT_UNAVAILABLE, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, LAUNCH_FAILED, USAGE …
 */
export async function startContainer(
  container: OwnedContainer,
  host: LifeHost,
  how: StartHow = firstStart,
): Promise<void> {
  using held = new DisposableStack()
  held.use(container)
  const { record } = container
  const request = getRequest(host.root, record)
  if (how.restarts === 0) clearStopped(host.root, record.id)
  const { id, name } = record
  await using network = await openContainerNetwork(request.spec, { ...host, id, name })
  held.use(noteStart(host.root, id))
  await makeContainer(container, request, { network, host, how })
  try {
    await how.beforeProgram?.()
    await host.runtime.start(record.id)
  } catch (error) {
    network.handOver()
    container[Symbol.dispose]()
    await noteFailedStart(record.id, error, host)
    throw error
  }
  network.handOver()
  tellEvent(host.runRoot, record, 'start')
}

interface Making {
  readonly network: ContainerNetwork
  readonly host: LifeHost
  readonly how: StartHow
}

/** After this the monitor is there; whatever happens to this process, the container ends in order. */
async function makeContainer(
  container: OwnedContainer,
  request: StoredRequest,
  { network, host, how }: Making,
): Promise<void> {
  const { record, directory } = container
  const { id } = record
  using tree = host.snapshotter.reopen(snapshotId(id), how.treeLockFd)
  const bundle = await bundleOf(container, request, { network, host, how, tree })
  const locks = [container.lockFd, ...tree.lockFds, ...network.descriptors]
  const health = healthPlanOf(request)
  if (health === undefined) forgetHealth(host.root, id)
  else writeHealth(host.root, id, startingHealth)
  const timer = health && healthTimer(id, checkIntervalMs(health), host)
  // What a killed monitor left of the last run.
  if (host.runtime.state(id) !== undefined) await host.runtime.delete(id, { force: true })
  await host.runtime.create(bundle, {
    supervision: {
      kind: 'monitor',
      terminal: request.spec.terminal,
      openInput: request.spec.interactive,
      log: monitorLog(directory, request),
      locks,
      cleanUp: host.command([endedCommand, id, String(locks.length)]),
      ...(timer === undefined ? {} : { timer }),
    },
    ...(host.signal === undefined ? {} : { signal: host.signal }),
    ...(host.emit === undefined ? {} : { emit: host.emit }),
  })
  const { ports, endpoints } = network
  const { restarts, lastWaitMs } = how
  container.begin({ startedMs: Date.now(), ports, endpoints, restarts, lastWaitMs })
}

async function bundleOf(
  { record, directory }: OwnedContainer,
  request: StoredRequest,
  { network, host, how, tree }: Making & { readonly tree: ReopenedTree },
): Promise<Bundle> {
  const { id } = record
  const seen = tree.open()
  try {
    const config = await containerConfig(request, {
      id,
      directory,
      containersRoot: host.root,
      tree: seen,
      network,
      namespacePaths: namespacePathsOf(request.spec, host),
      signal: host.signal,
    })
    const { consoleSize } = how
    const sized =
      consoleSize === undefined
        ? config
        : { ...config, process: { ...config.process, consoleSize } }
    const { setup } = network
    return {
      id,
      config: sized,
      root: tree.mount,
      ...(setup === undefined ? {} : { network: setup }),
    }
  } finally {
    // The container mounts the same directories.
    seen[Symbol.dispose]()
  }
}

function monitorLog(directory: string, { spec }: StoredRequest): ContainerLog {
  const place = logOf(directory, spec.log)
  if (place === undefined) return { driver: 'none' }
  const { form, file, maxBytes, maxFiles } = place
  return {
    driver: form,
    file,
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(maxFiles === undefined ? {} : { maxFiles }),
  }
}

function healthTimer(id: ContainerId, intervalMs: number, host: LifeHost): HostTimer {
  return { ...host.command([healthCommand, id]), firstMs: intervalMs, intervalMs }
}

const cleanUpMs = 10_000

/** The monitor has ended the run; what was wrong with it only this process knows. */
async function noteFailedStart(id: ContainerId, error: unknown, host: LifeHost): Promise<void> {
  for (const deadlineMs = Date.now() + cleanUpMs; Date.now() < deadlineMs; ) {
    try {
      using container = await takeContainer(host.root, id)
      const message = error instanceof Error ? error.message : String(error)
      const exitCode = error instanceof KauriError ? failureCode(error) : 128
      container.failed({ exitCode, outOfMemory: false, finishedMs: Date.now(), error: message })
      return
    } catch (failure) {
      if (failure instanceof KauriError && failure.code === 'CONTAINER_NOT_FOUND') return
      if (!(failure instanceof KauriError && failure.code === 'LOCK_BUSY')) throw failure
    }
  }
}

/** As docker: 126 and 127 for the program, 128 for anything else. */
function failureCode(error: KauriError): number {
  return error.exitStatus >= 126 ? error.exitStatus : 128
}

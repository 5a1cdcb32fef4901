// The containers of a command: their records, the runtime that knows their processes, their trees. What killed processes
// left is removed first.

import path from 'node:path'
import process from 'node:process'
import type { ContainerState } from '../container/container.ts'
import { getContainer, listContainers, sweepContainers } from '../container/container-records.ts'
import type { LifeHost } from '../container/life-host.ts'
import { endsIn } from '../container/lost-end.ts'
import { endUnfinishedStarts } from '../container/unfinished-starts.ts'
import { KauriError } from '../core/errors.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'
import { createBuiltinRuntime } from '../runtime/builtin-runtime.ts'
import type { ContainerRuntime } from '../runtime/container-runtime.ts'
import { sweepRuntime } from '../runtime/sweep-runtime.ts'
import type { CommandContext } from './command.ts'
import { ownCommand } from './own-command.ts'

/** What commands do with containers. */
export interface Containers {
  /** Directory of all containers. */
  readonly root: string
  readonly host: Omit<LifeHost, 'snapshotter'>
  /** Loads what keeps trees; the same for every call. */
  trees(): Promise<Snapshotter>
  /** All that `start` and its like need. */
  lifeHost(): Promise<LifeHost>
  /** Newest first. */
  list(): ContainerState[]
  /** By name, id or the beginning of an id. @throws CONTAINER_NOT_FOUND, USAGE */
  get(name: string): ContainerState
}

/** @throws NOT_ROOT */
export async function openContainers(
  context: CommandContext,
  { sweeps = true }: { readonly sweeps?: boolean } = {},
): Promise<Containers> {
  requireRoot()
  const { dataRoot, runRoot, emit, signal } = context
  const root = path.join(dataRoot, 'containers')
  const runtime = createBuiltinRuntime({ runRoot, cacheRoot: path.join(dataRoot, 'cache') })
  let snapshotter: Promise<Snapshotter> | undefined
  const trees = (): Promise<Snapshotter> => {
    snapshotter ??= import('./open-trees.ts').then(({ openTrees }) => openTrees(context))
    return snapshotter
  }
  if (sweeps) await sweep({ root, runRoot, runtime, trees })
  const host: Omit<LifeHost, 'snapshotter'> = {
    root,
    runRoot,
    runtime,
    command: ownCommand(context),
    findPid: id => runtime.state(id)?.pid,
    signal,
    emit,
  }
  // A run that is over counts as that, also while its clean-up is under way.
  const asItIs = (state: ContainerState): ContainerState => {
    if (state.status !== 'running') return state
    const now = runtime.state(state.id)
    if (now?.status === 'paused') return { ...state, status: 'paused' }
    const end = endsIn(runtime)(state.id)
    return end === undefined ? state : { ...state, status: 'exited', end }
  }
  return {
    root,
    host,
    trees,
    lifeHost: async () => ({ ...host, snapshotter: await trees() }),
    list: () => listContainers(root).map(asItIs),
    get: name => asItIs(getContainer(root, name)),
  }
}

interface Sweeping {
  readonly root: string
  readonly runRoot: string
  readonly runtime: ContainerRuntime
  readonly trees: () => Promise<Snapshotter>
}

async function sweep({ root, runRoot, runtime, trees }: Sweeping): Promise<void> {
  await endUnfinishedStarts(root, runtime)
  const removed = sweepContainers(root, endsIn(runtime))
  if (removed.length > 0) {
    const { dropSwept } = await import('../container/remove-container.ts')
    await dropSwept(removed, { root, runtime, snapshotter: await trees() })
  }
  await sweepRuntime(runRoot)
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return
  throw new KauriError('NOT_ROOT', 'containers need root', { hint: 'run it with sudo' })
}

// Runs a container from an image to its end: unpacks what is missing, puts a writable tree on top, writes what the
// process shall see, and hands a bundle to the runtime. This process stays with the container, which ends with it: the
// quickest way from an image to a result, and the only one with runtimes that cannot let go of a container.

import { type Emit, ignoreEvents } from '../core/events.ts'
import { type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import { unpackImage } from '../rootfs/unpack-image.ts'
import type { HostCommand } from '../runtime/container-runtime.ts'
import type { ContainerExit, RunningContainer, RunOptions, Runtime } from '../runtime/runtime.ts'
import type { ContainerRequest, StoredRequest } from './container.ts'
import { containerConfig, volumesBeside } from './container-config.ts'
import { mountsOf } from './container-mounts.ts'
import { newContainerId } from './container-name.ts'
import { openContainerNetwork } from './container-network.ts'
import { createContainer, listContainers, type NewContainer } from './container-records.ts'
import { commandOf } from './image-process.ts'
import type { ContainerMount } from './mount-request.ts'
import { type NamespaceHost, namespacePathsOf } from './namespace-paths.ts'
import { removeAnonymousVolumes, volumesOf } from './volume-use.ts'
import { openVolumes } from './volumes.ts'

/** Where a container's state is, and who runs and watches it. */
export interface ContainerHost extends NamespaceHost {
  readonly snapshotter: Snapshotter
  readonly runtime: Runtime
  /** Abort kills the container and leaves nothing of it. */
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
  /** Called when nothing but the start of the process is left to do. */
  readonly beforeStart?: () => Promise<void>
  readonly onStart?: (container: RunningContainer) => void
  /** This program with other words, for what runs beside containers. */
  readonly command?: ((words: readonly string[]) => HostCommand) | undefined
}

/**
 * Runs a container and waits for its end. One that is to be kept leaves its record, and its tree as a snapshot named by
 * its id.
 * @throws what unpackImage, openContainerNetwork and Runtime.run throw; USAGE, NAME_IN_USE; nothing is left then, too
 */
export async function runContainer(
  request: ContainerRequest,
  host: ContainerHost,
): Promise<ContainerExit> {
  const { image, ...spec } = request
  const { snapshotter, signal, emit = ignoreEvents } = host
  const imageConfig = image.config.config ?? {}
  const mounts = mountsOf(imageConfig, request.mounts)
  await using after = new AsyncDisposableStack()
  after.defer(() => dropVolumes(mounts, host))
  const stored: StoredRequest = { spec, imageConfig, mounts }
  const asked = newContainer(request, mounts)
  const container = await createContainer(host.root, asked, stored)
  const removal = after.use(new DisposableStack())
  removal.defer(() => container.forget())
  const { id, name } = container.record
  // Before its tree is made: a port that somebody else has ends it here.
  await using network = await openContainerNetwork(request, { ...host, id, name })
  const base = await unpackImage(image, { snapshotter, signal, emit })
  const keepAs = request.removeAfter ? {} : { keepAs: snapshotId(id) }
  await using rootfs = await snapshotter.prepare(base, { signal, ...keepAs })
  const config = await openedTree(base && snapshotter.open(base), tree =>
    containerConfig(stored, {
      id,
      directory: container.directory,
      containersRoot: host.root,
      tree,
      network,
      namespacePaths: namespacePathsOf(spec, host),
      signal,
    }),
  )
  await host.beforeStart?.()
  using _ = settleLater(snapshotter)
  const { ports, endpoints, setup } = network
  container.begin({ startedMs: Date.now(), ports, endpoints, restarts: 0, lastWaitMs: 0 })
  const bundle = {
    id,
    config,
    root: rootfs.mount,
    ...(setup === undefined ? {} : { network: setup }),
  }
  const exit = await host.runtime.run(bundle, runOptions(request, host))
  if (!request.removeAfter) {
    await snapshotter.commit(rootfs, snapshotId(id))
    container.end({ exitCode: exit.code, outOfMemory: exit.outOfMemory, finishedMs: Date.now() })
    removal.move()
    container[Symbol.dispose]()
  }
  return exit
}

/** What the record of a new container says. */
export function newContainer(
  request: ContainerRequest,
  mounts: readonly ContainerMount[],
): NewContainer {
  const { image, name, imageName, labels, removeAfter } = request
  const imageConfig = image.config.config ?? {}
  return {
    id: newContainerId(),
    name,
    imageName,
    imageDigest: image.descriptor.digest,
    command: commandOf(imageConfig, request),
    createdMs: Date.now(),
    labels: { ...imageConfig.Labels, ...labels },
    removeAfter,
    volumes: volumesOf(mounts),
  }
}

function runOptions(
  { terminal, interactive }: ContainerRequest,
  { signal, emit = ignoreEvents, onStart }: ContainerHost,
): RunOptions {
  return {
    io: { kind: terminal ? 'terminal' : 'inherit', input: interactive },
    signal,
    emit,
    // For kauri exec, stop and their like.
    isFindable: true,
    ...(onStart === undefined ? {} : { onStart }),
  }
}

/** Where the container's record is gone its own volumes go, too. */
async function dropVolumes(
  mounts: readonly ContainerMount[],
  { root }: ContainerHost,
): Promise<void> {
  const volumes = volumesOf(mounts)
  if (!volumes.some(({ anonymous }) => anonymous)) return
  await removeAnonymousVolumes(openVolumes(volumesBeside(root)), { volumes }, () =>
    listContainers(root),
  )
}

const settleAfterMs = 10_000

/** What was unpacked for a container outlasts a loss of power once it has run for a while; short ones need not wait for it. */
function settleLater(snapshotter: Snapshotter): Disposable {
  const stopped = new AbortController()
  const timer = setTimeout(() => {
    // A failure costs unpacking again after the next boot.
    void snapshotter.settle(stopped.signal).catch(() => {})
  }, settleAfterMs)
  return {
    [Symbol.dispose]() {
      clearTimeout(timer)
      stopped.abort()
    },
  }
}

/** Closes a tree before the container starts, which mounts the same directories. */
export async function openedTree<Tree extends Disposable | undefined, T>(
  tree: Tree,
  work: (tree: Tree) => Promise<T>,
): Promise<T> {
  try {
    return await work(tree)
  } finally {
    tree?.[Symbol.dispose]()
  }
}

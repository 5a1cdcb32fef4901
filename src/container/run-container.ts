// Runs a container from an image to its end: unpacks what is missing, puts a writable tree on top, writes what the
// process shall see, and hands a bundle to the runtime. Whatever ends it, the next command finds nothing but the record.

import { hostname as hostHostname } from 'node:os'
import path from 'node:path'
import { type Emit, ignoreEvents } from '../core/events.ts'
import { readTextInRoot } from '../native/in-root.ts'
import type { RunConfig } from '../oci/image-config.ts'
import type { RuntimeConfig, RuntimeMount } from '../oci/runtime-config.ts'
import { type OpenTree, type Snapshotter, snapshotId } from '../rootfs/rootfs.ts'
import { unpackImage } from '../rootfs/unpack-image.ts'
import { type ContainerUser, resolveContainerUser } from '../runtime/container-user.ts'
import { defaultRuntimeConfig } from '../runtime/default-config.ts'
import type { ContainerExit, RunningContainer, Runtime } from '../runtime/runtime.ts'
import type { ContainerRequest } from './container.ts'
import { mountsOf, prepareMounts } from './container-mounts.ts'
import { newContainerId } from './container-name.ts'
import { type ContainerNetwork, openContainerNetwork } from './container-network.ts'
import { createContainer, listContainers, type OwnedContainer } from './container-records.ts'
import { commandOf, environmentOf, workingDirectoryOf } from './image-process.ts'
import type { ContainerMount } from './mount-request.ts'
import { makeNetworkFiles } from './network-files.ts'
import { removeAnonymousVolumes, volumesOf } from './volume-use.ts'
import { openVolumes } from './volumes.ts'

/** Where a container's state is, and who runs and watches it. */
export interface ContainerHost {
  /** Directory of all containers, `<dataRoot>/containers`. */
  readonly root: string
  readonly snapshotter: Snapshotter
  readonly runtime: Runtime
  /** Abort kills the container and leaves nothing of it. */
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
  /** Called when nothing but the start of the process is left to do. */
  readonly beforeStart?: () => Promise<void>
  readonly onStart?: (container: RunningContainer) => void
}

/**
 * Runs a container and waits for its end. One that is to be kept leaves its record, and its tree as a snapshot named by
 * its id.
 * @throws what unpackImage, leaseBridgeAddress and Runtime.run throw; USAGE, NAME_IN_USE; nothing is left then
 */
export async function runContainer(
  request: ContainerRequest,
  host: ContainerHost,
): Promise<ContainerExit> {
  const { image, removeAfter } = request
  const { snapshotter, signal } = host
  const imageConfig = image.config.config ?? {}
  const command = commandOf(imageConfig, request)
  const id = newContainerId()
  // Before anything is made: a port that somebody else has ends it here.
  await using network = await openContainerNetwork(request, { signal, emit: host.emit })
  const mounts = mountsOf(imageConfig, request.mounts)
  await using after = new AsyncDisposableStack()
  after.defer(() => dropVolumes(mounts, host))
  using container = await createContainer(host.root, {
    id,
    name: request.name,
    imageName: request.imageName,
    imageDigest: image.descriptor.digest,
    command,
    createdMs: Date.now(),
    labels: { ...imageConfig.Labels, ...request.labels },
    removeAfter,
    ports: network.ports,
    volumes: volumesOf(mounts),
  })
  const emit = host.emit ?? ignoreEvents
  const base = await unpackImage(image, { snapshotter, signal, emit })
  const keepAs = removeAfter ? {} : { keepAs: snapshotId(id) }
  await using rootfs = await snapshotter.prepare(base, { signal, ...keepAs })
  const config = await openedTree(base && snapshotter.open(base), tree =>
    runtimeConfig(request, { imageConfig, command, container, tree, network, mounts, host }),
  )
  await host.beforeStart?.()
  using _ = settleLater(snapshotter)
  const exit = await host.runtime.run(
    {
      id,
      config,
      root: rootfs.mount,
      ...(network.setup === undefined ? {} : { network: network.setup }),
    },
    {
      io: { kind: request.terminal ? 'terminal' : 'inherit', input: request.interactive },
      signal,
      emit,
      ...(host.onStart === undefined ? {} : { onStart: host.onStart }),
    },
  )
  if (!removeAfter) {
    await snapshotter.commit(rootfs, snapshotId(id))
    container.end({ exitCode: exit.code, outOfMemory: exit.outOfMemory, finishedMs: Date.now() })
  }
  return exit
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

function volumesBeside(containersRoot: string): string {
  return path.join(path.dirname(containersRoot), 'volumes')
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

/** Closes the tree before the container starts, which mounts the same directories. */
async function openedTree<T>(
  tree: OpenTree | undefined,
  work: (tree: OpenTree | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await work(tree)
  } finally {
    tree?.[Symbol.dispose]()
  }
}

interface ContainerParts {
  readonly imageConfig: RunConfig
  readonly command: readonly string[]
  readonly container: OwnedContainer
  /** The image's tree, to look users and directories up in. */
  readonly tree: OpenTree | undefined
  readonly network: ContainerNetwork
  readonly mounts: readonly ContainerMount[]
  readonly host: ContainerHost
}

async function runtimeConfig(
  request: ContainerRequest,
  parts: ContainerParts,
): Promise<RuntimeConfig> {
  const { imageConfig, container, tree, network, host } = parts
  const { directory } = container
  const hostname = hostnameOf(request, container.record.id)
  const user = userOf(request.user ?? imageConfig.User ?? '', tree)
  const volumes = openVolumes(volumesBeside(host.root))
  const own = await prepareMounts(parts.mounts, { tree, volumes, signal: host.signal })
  const { extraHosts, resolver, readOnlyRoot: readOnly } = request
  const files = makeNetworkFiles({
    directory,
    hostname,
    network,
    extraHosts,
    resolver,
    readOnly,
  })
  return defaultRuntimeConfig({
    args: parts.command,
    env: environmentOf(imageConfig, { ...request, hostname, home: user.home }),
    cwd: workingDirectoryOf(imageConfig, request.workingDirectory),
    user,
    hostname,
    terminal: request.terminal,
    network: network.mode,
    mounts: withFiles(own, files),
    capabilities: { add: request.addCapabilities, drop: request.dropCapabilities },
    readonlyRoot: readOnly,
    noNewPrivileges: request.noNewPrivileges,
    resources: request.resources,
    rlimits: request.rlimits,
    ...(request.seccomp === undefined ? {} : { seccomp: request.seccomp }),
    ...(request.shmSizeBytes === undefined ? {} : { shmSizeBytes: request.shmSizeBytes }),
  })
}

/** On the host's network a container has the host's name; else its own short id. */
function hostnameOf({ hostname, network }: ContainerRequest, id: string): string {
  return hostname ?? (network.kind === 'host' ? hostHostname() : id.slice(0, 12))
}

function userOf(spec: string, tree: OpenTree | undefined): ContainerUser {
  const read = (file: string): string | undefined =>
    tree === undefined ? undefined : readTextInRoot(tree.fd, file)
  return resolveContainerUser(spec, { passwd: read('/etc/passwd'), group: read('/etc/group') })
}

/** The three files of /etc, unless the caller mounts something there. */
function withFiles(
  own: readonly RuntimeMount[],
  files: readonly RuntimeMount[],
): readonly RuntimeMount[] {
  const taken = new Set(own.map(({ destination }) => path.posix.normalize(destination)))
  return [...own, ...files.filter(({ destination }) => !taken.has(destination))]
}

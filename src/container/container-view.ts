// The files of a container as this process sees them: of one that runs through its first process, with all that is mounted
// there, else its tree, with volumes and binds looked up by their paths. Every path is resolved by the kernel below a
// descriptor of the root, so no link in the container leads out of it (CVE-2018-15664), and no code of the container is
// loaded (CVE-2019-14271).

import { closeSync, constants, openSync, statfsSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { snapshotId } from '../rootfs/rootfs.ts'
import { identityOf } from '../runtime/run-record.ts'
import type { ContainerState } from './container.ts'
import { volumesBeside } from './container-config.ts'
import { getRequest } from './container-records.ts'
import type { LifeHost } from './life-host.ts'
import type { ContainerMount } from './mount-request.ts'
import { openVolumes } from './volumes.ts'

/** A root and a path in it; the root is the container's, or that of a volume. */
export interface ViewedPath {
  readonly rootFd: number
  /** Absolute below that root, without `.`, `..` and a slash at its end; `/` for the root itself. */
  readonly path: string
  readonly isReadOnly: boolean
}

/** Dispose it before the container is started. */
export interface ContainerView extends Disposable {
  /** Links in the path are not looked at; relative paths are below `/`. */
  find(containerPath: string): ViewedPath
  /** Directories whose contents are the kernel's, not files: `proc`, `sys`, `dev`. */
  readonly kernelDirectories: readonly string[]
}

type ViewHost = Pick<LifeHost, 'root' | 'runtime' | 'snapshotter'>

/** @throws LOCK_BUSY where the container is being started; NOT_ROOT */
export function viewContainer(state: ContainerState, host: ViewHost): ContainerView {
  const isUp = state.status === 'running' || state.status === 'paused'
  return isUp ? viewRunning(state, host) : viewStopped(state, host)
}

const kernelDirectories = ['proc', 'sys', 'dev'] as const

function viewRunning(state: ContainerState, { root, runtime }: ViewHost): ContainerView {
  const { pid = 0, startTicks } = runtime.state(state.id) ?? {}
  const rootFd = pid > 0 ? openRootOf(pid) : undefined
  // The id could have been given to another process before it was opened, not after.
  if (rootFd === undefined || identityOf(pid)?.startTicks !== startTicks) {
    if (rootFd !== undefined) closeSync(rootFd)
    throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${state.id} has just ended`, {
      hint: 'run the command again',
    })
  }
  const { spec } = getRequest(root, state)
  return {
    find: text => ({
      rootFd,
      path: normalPath(text),
      // The kernel refuses writes itself, where a mount is read-only.
      isReadOnly: spec.readOnlyRoot,
    }),
    kernelDirectories,
    [Symbol.dispose]: () => closeSync(rootFd),
  }
}

function openRootOf(pid: number): number | undefined {
  try {
    return openSync(`/proc/${pid}/root`, oPath | constants.O_DIRECTORY)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined
    throw error
  }
}

function viewStopped(state: ContainerState, host: ViewHost): ContainerView {
  using opened = new DisposableStack()
  const reopened = opened.use(host.snapshotter.reopen(snapshotId(state.id)))
  const tree = opened.use(reopened.open())
  const { spec, mounts } = getRequest(host.root, state)
  const places = mounts.flatMap(mount => mountPlace(mount, host.root, opened))
  const kept = opened.move()
  return {
    find(text) {
      const wanted = normalPath(text)
      const place = places
        .filter(({ destination }) => isBelow(wanted, destination))
        .toSorted((a, b) => b.destination.length - a.destination.length)[0]
      if (place === undefined)
        return { rootFd: tree.fd, path: wanted, isReadOnly: spec.readOnlyRoot }
      const rest = wanted.slice(place.destination.length)
      return { rootFd: place.fd, path: normalPath(rest), isReadOnly: place.isReadOnly }
    },
    kernelDirectories: [],
    [Symbol.dispose]: () => kept.dispose(),
  }
}

interface MountPlace {
  readonly destination: string
  readonly fd: number
  readonly isReadOnly: boolean
}

/** Directories alone: a file that is mounted is its own place, which no path leads below. */
function mountPlace(
  mount: ContainerMount,
  containersRoot: string,
  opened: DisposableStack,
): readonly MountPlace[] {
  const source = sourceOf(mount, containersRoot)
  if (source === undefined || mount.kind === 'tmpfs') return []
  try {
    const fd = openSync(source, oPath | constants.O_DIRECTORY)
    opened.defer(() => closeSync(fd))
    return [{ destination: mount.destination, fd, isReadOnly: mount.readOnly }]
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

function sourceOf(mount: ContainerMount, containersRoot: string): string | undefined {
  if (mount.kind === 'bind') return mount.source
  if (mount.kind !== 'volume' || mount.name === undefined) return undefined
  const volume = openVolumes(volumesBeside(containersRoot)).find(mount.name)
  if (volume === undefined || mount.subpath !== undefined) return undefined
  return volume.directory
}

function isBelow(wanted: string, destination: string): boolean {
  return wanted === destination || wanted.startsWith(`${destination}/`)
}

function normalPath(text: string): string {
  return path.posix.join('/', text).replace(/(?<=.)\/$/, '')
}

const kernelFileSystems = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
])

/** @throws UNSUPPORTED for what is in a file system of the kernel's, whose files are none */
export function requireFiles(fd: number, shown: string): void {
  const { type } = statfsSync(`/proc/self/fd/${fd}`)
  if (!kernelFileSystems.has(type)) return
  throw new KauriError('UNSUPPORTED', `${shown} is in a file system of the kernel's`, {
    hint: 'read it in the container: kauri exec CONTAINER cat …',
  })
}

/** Opens a directory of the view for reading, links followed inside it. */
export function openViewed({ rootFd, path: at }: ViewedPath): number {
  return native().openInRoot(rootFd, at, constants.O_DIRECTORY | constants.O_RDONLY)
}

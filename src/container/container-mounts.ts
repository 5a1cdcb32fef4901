// What a container sees beside its image: bind mounts, temporary file systems, and volumes of its own that start with
// what the image has at their place.

import { closeSync, constants, existsSync, fstatSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { hasErrno, KauriError } from '../core/errors.ts'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import { defaultPath, type RunConfig } from '../oci/image-config.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'
import type { OpenTree } from '../rootfs/rootfs.ts'
import type { ContainerMount } from './container.ts'

export interface MountWork {
  /** The image's tree; undefined where it is empty. */
  readonly tree: OpenTree | undefined
  /** Where volumes are kept. */
  readonly directory: string
  readonly signal: AbortSignal | undefined
}

/** The caller's mounts, and a volume for each of the image's that the caller does not cover. @throws USAGE */
export function mountsOf(
  config: RunConfig,
  asked: readonly ContainerMount[],
): readonly ContainerMount[] {
  const destinations = new Set<string>()
  for (const { destination } of asked) {
    if (destinations.has(destination))
      throw new KauriError('USAGE', `two mounts for ${destination}`)
    destinations.add(destination)
  }
  const volumes = Object.keys(config.Volumes ?? {})
    .map(name => path.posix.resolve('/', name))
    .filter(destination => !destinations.has(destination) && destination !== '/')
  return [
    ...asked,
    ...volumes.map(
      (destination): ContainerMount => ({ kind: 'volume', destination, readOnly: false }),
    ),
  ]
}

/** Makes what the mounts need on the host, and says how the runtime mounts them: outer ones before those inside them. */
export async function prepareMounts(
  mounts: readonly ContainerMount[],
  work: MountWork,
): Promise<RuntimeMount[]> {
  const prepared: RuntimeMount[] = []
  for (const mount of mounts.toSorted((a, b) => depth(a) - depth(b)))
    prepared.push(await prepareMount(mount, work, prepared.length))
  return prepared
}

function depth({ destination }: ContainerMount): number {
  return destination.split('/').length
}

async function prepareMount(
  mount: ContainerMount,
  work: MountWork,
  index: number,
): Promise<RuntimeMount> {
  const { destination } = mount
  switch (mount.kind) {
    case 'bind':
      return {
        destination,
        type: 'bind',
        source: bindSource(mount),
        options: [mount.recursive ? 'rbind' : 'bind', mount.propagation, access(mount.readOnly)],
      }
    case 'tmpfs':
      return {
        destination,
        type: 'tmpfs',
        source: 'tmpfs',
        options: ['nosuid', 'nodev', 'noexec', ...tmpfsMode(mount, work.tree), ...mount.options],
      }
    case 'volume': {
      const source = path.join(work.directory, `volume-${index}`)
      await makeVolume(source, destination, work)
      return {
        destination,
        type: 'bind',
        source,
        options: ['bind', 'rprivate', access(mount.readOnly)],
      }
    }
    default:
      return mount satisfies never
  }
}

function access(readOnly: boolean): string {
  return readOnly ? 'ro' : 'rw'
}

function bindSource({ source, makeSource }: ContainerMount & { readonly kind: 'bind' }): string {
  if (existsSync(source)) return source
  if (!makeSource)
    throw new KauriError('USAGE', `the source ${source} of a bind mount is not there`, {
      hint: `make it first, or use -v ${source}:…, which makes a directory`,
    })
  mkdirSync(source, { recursive: true, mode: 0o755 })
  return source
}

/** A temporary file system over a directory of the image takes over its mode, as other runtimes have it. */
function tmpfsMode(
  { destination, options }: ContainerMount & { readonly kind: 'tmpfs' },
  tree: OpenTree | undefined,
): readonly string[] {
  if (options.some(option => option.startsWith('mode='))) return []
  const fd = openDirectory(tree, destination)
  if (fd === undefined) return []
  const { mode } = fstatSync(fd)
  closeSync(fd)
  return [`mode=${(mode & 0o7777).toString(8)}`]
}

/** A directory of the image, links followed inside it; undefined where there is none. */
function openDirectory(tree: OpenTree | undefined, directory: string): number | undefined {
  if (tree === undefined) return undefined
  try {
    return native().openInRoot(tree.fd, directory, oPath | constants.O_DIRECTORY)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

async function makeVolume(source: string, destination: string, work: MountWork): Promise<void> {
  mkdirSync(source, { mode: 0o755 })
  const fd = openDirectory(work.tree, destination)
  if (fd === undefined) return
  try {
    const { runChecked } = await import('../core/process.ts')
    const { guardCommand } = await import('../native/guard.ts')
    await runChecked([...guardCommand(), 'cp', '-a', `/proc/${process.pid}/fd/${fd}/.`, source], {
      env: { PATH: defaultPath, LC_ALL: 'C' },
      what: `filling the volume ${destination}`,
      signal: work.signal,
    })
  } finally {
    closeSync(fd)
  }
}

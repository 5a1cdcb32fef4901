// What a container sees beside its image: bind mounts, temporary file systems and volumes, as the runtime mounts them.
// Nothing of it is mounted on the host; a volume with a file system of its own is mounted in the container alone.

import { closeSync, constants, existsSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import path from 'node:path'
import { hasErrno, KauriError } from '../core/errors.ts'
import { randomHex } from '../core/random-hex.ts'
import { oPath } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import type { RunConfig } from '../oci/image-config.ts'
import type { RuntimeMount } from '../oci/runtime-config.ts'
import type { OpenTree } from '../rootfs/rootfs.ts'
import type { VolumePlace } from './fill-volume.ts'
import type { BindMount, ContainerMount, TmpfsMount, VolumeMount } from './mount-request.ts'
import { type Volume, type Volumes, volumeSource } from './volumes.ts'

export interface MountWork {
  /** The image's tree; undefined where it is empty. */
  readonly tree: OpenTree | undefined
  readonly volumes: Volumes
  readonly signal: AbortSignal | undefined
}

/**
 * The caller's mounts, and a volume for each of the image's that the caller does not cover. Volumes without a name get one,
 * so that the container's record can tell of them before they are made.
 * @throws USAGE for two mounts on one place
 */
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
  const own = Object.keys(config.Volumes ?? {})
    .map(name => path.posix.resolve('/', name))
    .filter(destination => !destinations.has(destination) && destination !== '/')
  return [...asked, ...[...new Set(own)].map(imageVolume)].map(named)
}

function imageVolume(destination: string): VolumeMount {
  return { kind: 'volume', anonymous: true, destination, readOnly: false, copy: true }
}

function named(mount: ContainerMount): ContainerMount {
  return mount.kind === 'volume' && mount.name === undefined
    ? { ...mount, name: randomHex(32), anonymous: true }
    : mount
}

/** Mounts of another container, for one that shall have them, too (`--volumes-from`); temporary file systems are its own. */
export function inheritedMounts(
  mounts: readonly ContainerMount[],
  access?: 'ro' | 'rw',
): readonly ContainerMount[] {
  return mounts.flatMap((mount): readonly ContainerMount[] => {
    if (mount.kind === 'tmpfs') return []
    // It goes with the container that it was made for.
    const shared = mount.kind === 'volume' ? { ...mount, anonymous: false } : mount
    return access === undefined ? [shared] : [{ ...shared, readOnly: access === 'ro' }]
  })
}

/** Makes the volumes that are not there yet, so that they are listed with a container that has not run. @throws USAGE, NAME_IN_USE */
export async function makeVolumes(
  mounts: readonly ContainerMount[],
  volumes: Volumes,
): Promise<void> {
  for (const mount of mounts) if (mount.kind === 'volume') await makeVolume(mount, volumes)
}

function makeVolume(mount: VolumeMount, volumes: Volumes): Promise<Volume> {
  const { name = '', anonymous, labels = {}, options = {} } = mount
  return volumes.make({ name, labels, options, anonymous })
}

/** Makes what the mounts need on the host, and says how the runtime mounts them: outer ones before those inside them. */
export async function prepareMounts(
  mounts: readonly ContainerMount[],
  work: MountWork,
): Promise<RuntimeMount[]> {
  const prepared: RuntimeMount[] = []
  for (const mount of mounts.toSorted((a, b) => depth(a) - depth(b)))
    prepared.push(await prepareMount(mount, work))
  return prepared
}

function depth({ destination }: ContainerMount): number {
  return destination.split('/').length
}

async function prepareMount(mount: ContainerMount, work: MountWork): Promise<RuntimeMount> {
  switch (mount.kind) {
    case 'bind':
      return bindMount(mount)
    case 'tmpfs':
      return tmpfsMount(mount, work.tree)
    case 'volume':
      return await volumeMount(mount, work)
    default:
      return mount satisfies never
  }
}

function bindMount(mount: BindMount): RuntimeMount {
  const { destination, recursive, propagation, idMapping } = mount
  return {
    destination,
    type: 'bind',
    source: bindSource(mount),
    options: [recursive ? 'rbind' : 'bind', propagation, accessOf(mount), ...mappedWord(mount)],
    ...(idMapping === undefined ? {} : mappingOf(idMapping)),
  }
}

/** Read-only is all below it, too, as docker has it, unless the caller says otherwise. */
function accessOf({ readOnly, recursive, writableBelow = false }: BindMount): string {
  if (!readOnly) return 'rw'
  return recursive && !writableBelow ? 'rro' : 'ro'
}

function mappedWord({ idMapping }: Pick<BindMount, 'idMapping'>): readonly string[] {
  return idMapping === undefined ? [] : ['idmap']
}

function mappingOf({
  uids,
  gids,
}: NonNullable<BindMount['idMapping']>): Pick<RuntimeMount, 'uidMappings' | 'gidMappings'> {
  const ranges = (list: typeof uids): NonNullable<RuntimeMount['uidMappings']> =>
    list.map(({ containerId, hostId, size }) => ({
      containerID: containerId,
      hostID: hostId,
      size,
    }))
  return { uidMappings: ranges(uids), gidMappings: ranges(gids) }
}

function bindSource({ source, makeSource }: BindMount): string {
  if (existsSync(source)) return source
  if (!makeSource)
    throw new KauriError('USAGE', `the source ${source} of a bind mount is not there`, {
      hint: `make it first, or use -v ${source}:…, which makes a directory`,
    })
  mkdirSync(source, { recursive: true, mode: 0o755 })
  return source
}

/** A temporary file system over a directory of the image takes over its mode, as other runtimes have it. */
function tmpfsMount(
  { destination, options }: TmpfsMount,
  tree: OpenTree | undefined,
): RuntimeMount {
  const mode = options.some(option => option.startsWith('mode=')) ? [] : modeOf(tree, destination)
  return {
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'noexec', ...mode, ...options],
  }
}

function modeOf(tree: OpenTree | undefined, directory: string): readonly string[] {
  const fd = openDirectory(tree, directory)
  if (fd === undefined) return []
  const { mode } = fstatSync(fd)
  closeSync(fd)
  return [`mode=${(mode & 0o7777).toString(8)}`]
}

/** A directory of the image, links followed inside it (CVE-2022-23648); undefined where there is none. */
function openDirectory(tree: OpenTree | undefined, directory: string): number | undefined {
  if (tree === undefined) return undefined
  try {
    return native().openInRoot(tree.fd, directory, oPath | constants.O_DIRECTORY)
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

async function volumeMount(mount: VolumeMount, work: MountWork): Promise<RuntimeMount> {
  const { destination, name = '', readOnly, subpath = '' } = mount
  const volume = await makeVolume(mount, work.volumes)
  const source = volumeSource(volume)
  const access = readOnly ? 'ro' : 'rw'
  if (source.kind === 'filesystem') {
    if (subpath !== '')
      throw new KauriError(
        'UNSUPPORTED',
        `the volume ${name} is a file system that only the container sees, so no part of it can be mounted alone`,
      )
    const { type, device, options: words } = source
    return { destination, type, source: device, options: [...words, access] }
  }
  if (mount.copy) {
    const mark = path.join(path.dirname(volume.directory), '.filling')
    await fillFromImage(mount, { directory: source.path, mark }, work)
  }
  const { idMapping } = mount
  const mapped = idMapping === undefined ? {} : mappingOf(idMapping)
  const common = { destination, type: 'bind', ...mapped }
  const words = [...source.options, access, ...mappedWord(mount)]
  if (subpath === '')
    return { ...common, source: source.path, options: ['rbind', 'rprivate', ...words] }
  const kind = kindWithin(source.path, subpath, name)
  // Resolved once more, and for good, by the launcher inside the volume: what a container puts there leads nowhere else.
  return { ...common, source: subpath, options: words, tree: { kind, lower: [source.path] } }
}

/** What is at a path inside a volume, links followed inside it. @throws USAGE where there is nothing */
function kindWithin(directory: string, subpath: string, name: string): 'file' | 'directory' {
  const rootFd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const fd = native().openInRoot(rootFd, subpath, oPath)
    try {
      return fstatSync(fd).isDirectory() ? 'directory' : 'file'
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
    throw new KauriError('USAGE', `there is no ${subpath} in the volume ${name}`, {
      hint: 'volume-subpath is a path in the volume that is there when the container starts',
      cause: error,
    })
  } finally {
    closeSync(rootFd)
  }
}

/** What the image has at the volume's place, where the volume is still empty. */
async function fillFromImage(
  { destination, name = '' }: VolumeMount,
  place: VolumePlace,
  { tree, volumes, signal }: MountWork,
): Promise<void> {
  const { fillVolume, needsFilling } = await import('./fill-volume.ts')
  if (!needsFilling(place)) return
  const fd = openDirectory(tree, destination)
  if (fd === undefined) return
  try {
    await volumes.whileFilling(name, () => fillVolume(place, { fd, name, signal }), signal)
  } finally {
    closeSync(fd)
  }
}

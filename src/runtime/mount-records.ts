// Mounts, devices and paths of a runtime configuration as steps of the launcher's plan, in the order in which they must
// happen. Everything that people may ask for and the launcher must not do is refused here.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type {
  DeviceNode,
  MemoryFile,
  MountedTree,
  RuntimeConfig,
  RuntimeMount,
} from '../oci/runtime-config.ts'
import { visibleHierarchies } from './cgroup.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import {
  type MountOptions,
  mountAttribute,
  overlayMountOptions,
  parseMountOptions,
} from './mount-options.ts'
import { type PlanRecord, planTag, stepFlag } from './plan-writer.ts'

export interface MountContext {
  readonly layout: CgroupLayout
  /** Devices are limited by a cgroup; where they are not, no mount allows any but the host's own nodes, bound one by one. */
  readonly limitsDevices: boolean
}

/** File systems that need no source; what they are may be missing in a kernel, where it says so. */
const kernelFilesystems: Readonly<
  Record<string, { readonly flags: number; readonly at?: string }>
> = {
  proc: { flags: stepFlag.noLinks, at: '/proc' },
  sysfs: { flags: stepFlag.noLinks, at: '/sys' },
  devpts: { flags: stepFlag.noLinks },
  mqueue: { flags: stepFlag.noLinks | stepFlag.optional },
  tmpfs: { flags: 0 },
}

/** Files of procfs that may be covered: they only tell about the machine (lxcfs serves them). */
const coverableProcFiles = new Set([
  '/proc/cpuinfo',
  '/proc/diskstats',
  '/proc/loadavg',
  '/proc/meminfo',
  '/proc/slabinfo',
  '/proc/stat',
  '/proc/swaps',
  '/proc/uptime',
])

/** Links that every program may expect in /dev. */
const deviceLinks: readonly (readonly [target: string, content: string])[] = [
  ['/dev/fd', '/proc/self/fd'],
  ['/dev/stdin', '/proc/self/fd/0'],
  ['/dev/stdout', '/proc/self/fd/1'],
  ['/dev/stderr', '/proc/self/fd/2'],
  ['/dev/core', '/proc/kcore'],
  ['/dev/ptmx', 'pts/ptmx'],
]

/** @throws USAGE for a destination that would open the host, UNSUPPORTED for a mount that cannot be made */
export function mountRecords(config: RuntimeConfig, context: MountContext): readonly PlanRecord[] {
  const { linux } = config
  const devices = deviceRecords(linux.devices ?? [], context)
  const records = config.mounts.flatMap(mount => [
    ...recordsOf(mount, context),
    ...(mount.destination === '/dev' && mount.type === 'tmpfs' ? devices : []),
  ])
  if (!config.mounts.some(({ destination }) => destination === '/dev')) records.push(...devices)
  const sysctls = Object.entries(linux.sysctl ?? {})
  return [
    ...records,
    ...sysctls.map(([name, value]): PlanRecord => [planTag.sysctl, sysctlPath(name), value]),
    ...linux.readonlyPaths.map((target): PlanRecord => [planTag.readonly, target]),
    ...linux.maskedPaths.map((target): PlanRecord => [planTag.mask, target]),
  ]
}

/** `net.ipv4.ip_forward`, or with slashes where a part has a dot of its own. */
function sysctlPath(name: string): string {
  const parts = name.includes('/') ? name.split('/') : name.split('.')
  if (parts.some(part => part === '' || part === '.' || part === '..'))
    throw new KauriError('USAGE', `${JSON.stringify(name)} is no sysctl`)
  return parts.join('/')
}

function recordsOf(mount: RuntimeMount, context: MountContext): PlanRecord[] {
  checkDestination(mount)
  const options = parseMountOptions(mount.options)
  const [refused] = options.refused
  if (refused !== undefined)
    throw new KauriError(
      'UNSUPPORTED',
      `mount option ${refused} of ${mount.destination} is not supported`,
      {
        hint: 'use rprivate or rslave',
      },
    )
  if (mount.file !== undefined) return [fileRecord(mount, mount.file, { options, context })]
  if (mount.tree !== undefined) return [treeRecord(mount, mount.tree, { options, context })]
  if (options.isBind) return [bindRecord(mount, options, context)]
  if (mount.type === 'cgroup' || mount.type === 'cgroup2')
    return cgroupRecords(mount, options, context)
  const kind = kernelFilesystems[mount.type]
  if (kind === undefined || (kind.at !== undefined && kind.at !== mount.destination))
    throw new KauriError('UNSUPPORTED', `${mount.type} cannot be mounted on ${mount.destination}`)
  return [filesystemRecord(mount, options, { flags: kind.flags, context })]
}

function checkDestination({ destination, type }: RuntimeMount): void {
  const problem = destinationProblem(destination, type)
  if (problem !== undefined)
    throw new KauriError(
      'USAGE',
      `nothing can be mounted on ${JSON.stringify(destination)}: ${problem}`,
    )
}

function destinationProblem(destination: string, type: string): string | undefined {
  if (!destination.startsWith('/')) return 'a mount point in a container is an absolute path'
  if (destination === '/') return 'it is the root'
  if (path.posix.resolve(destination) !== destination) return 'it is not in its shortest form'
  if (destination === '/proc' && type !== 'proc') return 'it is the kernel’s view of the container'
  if (destination.startsWith('/proc/') && !coverableProcFiles.has(destination))
    return 'programs must be able to trust /proc'
  return undefined
}

function filesystemRecord(
  mount: Pick<RuntimeMount, 'destination' | 'type' | 'source'>,
  options: MountOptions,
  { flags, context }: { readonly flags: number; readonly context: MountContext },
): PlanRecord {
  return [
    planTag.filesystem,
    mount.destination,
    mount.type,
    options.attributes | noDevices(context),
    flags | options.flags | kernelTarget(mount.destination),
    [...(mount.source === '' ? [] : [`source=${mount.source}`]), ...options.data],
  ]
}

function bindRecord(mount: RuntimeMount, options: MountOptions, context: MountContext): PlanRecord {
  return [
    planTag.bind,
    mount.destination,
    mount.source,
    options.attributes | noDevices(context),
    options.flags | kernelTarget(mount.destination),
  ]
}

interface MountWay {
  readonly options: MountOptions
  readonly context: MountContext
}

function treeRecord(
  { destination, source }: RuntimeMount,
  { lower, upper = '', work = '' }: MountedTree,
  { options, context }: MountWay,
): PlanRecord {
  const isOverlay = lower.length > 1 || upper !== ''
  // Nothing of it is kept, so nothing needs to reach the disk.
  const overlay = isOverlay ? [...overlayMountOptions, ...(upper === '' ? [] : ['volatile'])] : []
  const attributes = options.attributes | noDevices(context)
  const flags = options.flags | kernelTarget(destination)
  return [planTag.tree, destination, source, attributes, flags, 0, upper, work, overlay, lower]
}

function fileRecord(
  { destination }: RuntimeMount,
  { content, mode, uid, gid }: MemoryFile,
  { options, context }: MountWay,
): PlanRecord {
  const attributes = options.attributes | noDevices(context)
  const flags = options.flags | kernelTarget(destination)
  return [planTag.file, destination, attributes, flags, mode, uid, gid, content]
}

function noDevices({ limitsDevices }: MountContext): number {
  return limitsDevices ? 0 : mountAttribute.nodev
}

/** Only where the destination says so in its own letters may a mount land on procfs or sysfs; never by a link. */
function kernelTarget(destination: string): number {
  const isKernel = destination.startsWith('/sys/') || destination.startsWith('/proc/')
  return isKernel ? stepFlag.onKernelFs | stepFlag.noLinks : 0
}

/** Version 1: a tmpfs with each hierarchy below; else version 2 itself. */
function cgroupRecords(
  mount: RuntimeMount,
  options: MountOptions,
  context: MountContext,
): PlanRecord[] {
  const flags = stepFlag.noLinks | stepFlag.optional
  const hierarchies = visibleHierarchies(context.layout)
  if (hierarchies.every(({ version }) => version === 2) || mount.type === 'cgroup2') {
    const type = 'cgroup2'
    return [filesystemRecord({ ...mount, type, source: 'cgroup' }, options, { flags, context })]
  }
  const top = { ...mount, type: 'tmpfs', source: 'tmpfs' }
  const writable = { ...options, attributes: options.attributes & ~mountAttribute.readonly }
  return [
    filesystemRecord(top, { ...writable, data: ['mode=755', 'size=64k'] }, { flags, context }),
    ...hierarchies.map(({ controllers, name, mountPoint }) =>
      filesystemRecord(
        {
          destination: path.posix.join(mount.destination, path.basename(mountPoint)),
          type: 'cgroup',
          source: 'cgroup',
        },
        {
          ...options,
          data: name === undefined ? controllers : ['none', `name=${name}`, ...controllers],
        },
        { flags, context },
      ),
    ),
    [planTag.attributes, mount.destination, options.attributes],
  ]
}

function deviceRecords(
  devices: readonly DeviceNode[],
  { limitsDevices }: MountContext,
): PlanRecord[] {
  const flags = limitsDevices ? 0 : stepFlag.bindDevice
  const nodes = devices.map((device): PlanRecord => {
    const { major = 0, minor = 0, uid = 0, gid = 0, fileMode = 0o666 } = device
    const mode = deviceTypes[device.type] | fileMode
    return [planTag.device, device.path, mode, major, minor, uid, gid, flags]
  })
  const links = deviceLinks.map(
    ([target, content]): PlanRecord => [planTag.symlink, target, content],
  )
  return [...nodes, ...links]
}

/** S_IFBLK, S_IFCHR, S_IFIFO. */
const deviceTypes = { b: 0o060000, c: 0o020000, p: 0o010000 } as const

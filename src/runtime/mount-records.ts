// Mounts, devices and paths of a runtime configuration as steps of the launcher's plan, in the order in which they must
// happen. Everything that people may ask for and the launcher must not do is refused here.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type {
  MemoryFile,
  MountedTree,
  NamespaceType,
  RuntimeConfig,
  RuntimeMount,
} from '../oci/runtime-config.ts'
import { visibleHierarchies } from './cgroup.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import { withDevices } from './device-records.ts'
import { hasDetails, mountDetailsRecord } from './mount-details.ts'
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
  /** The container's cgroups: all that it sees of them where it has no cgroup namespace. */
  readonly cgroupDirectories?: readonly string[]
}

/** File systems of the kernel itself; one may be missing, where it says so. All others are mounted as they are asked for. */
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

/** What may lie on procfs and sysfs as a whole: the host's own, where the container has no namespace of that kind. */
const hostViews = new Set(['/proc', '/sys'])

/** @throws USAGE for a destination that would open the host, UNSUPPORTED for a mount that cannot be made */
export function mountRecords(config: RuntimeConfig, context: MountContext): readonly PlanRecord[] {
  const { linux } = config
  const records = config.mounts.flatMap(mount => recordsOf(mount, config, context))
  const sysctls = Object.entries(linux.sysctl ?? {})
  return [
    ...withDevices(records, config, context.limitsDevices),
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

function recordsOf(
  mount: RuntimeMount,
  config: RuntimeConfig,
  context: MountContext,
): PlanRecord[] {
  const options = parseMountOptions(mount.options, mount.type)
  checkDestination(mount, options)
  const [refused] = options.refused
  if (refused !== undefined)
    throw new KauriError(
      'UNSUPPORTED',
      `mount option ${refused} of ${mount.destination} is not supported`,
    )
  const [record, ...more] = plainRecords(mount, options, { config, context })
  if (record === undefined) return []
  return hasDetails(options)
    ? [record, mountDetailsRecord(mount, options, config), ...more]
    : [record, ...more]
}

function plainRecords(
  mount: RuntimeMount,
  options: MountOptions,
  { config, context }: { readonly config: RuntimeConfig; readonly context: MountContext },
): PlanRecord[] {
  if (options.isRemount) return [[planTag.attributes, mount.destination, options.attributes]]
  if (mount.file !== undefined) return [fileRecord(mount, mount.file, { options, context })]
  if (mount.tree !== undefined) return [treeRecord(mount, mount.tree, { options, context })]
  if (options.isBind) return [bindRecord(mount, options, context)]
  if (mount.type === 'cgroup' || mount.type === 'cgroup2')
    return hasNamespace(config, 'cgroup')
      ? cgroupRecords(mount, options, context)
      : ownCgroupRecords(mount, options, context)
  if (mount.type === 'sysfs' && cannotMountSysfs(config))
    return [
      bindRecord(
        { ...mount, source: '/sys' },
        { ...options, flags: options.flags | stepFlag.recursive },
        context,
      ),
    ]
  return [filesystemOf(mount, options, context)]
}

function hasNamespace({ linux }: RuntimeConfig, wanted: NamespaceType): boolean {
  return linux.namespaces.some(({ type }) => type === wanted)
}

/** The kernel gives sysfs to who owns the network namespace; root of another user namespace gets the host's view instead. */
function cannotMountSysfs(config: RuntimeConfig): boolean {
  const isOwned = config.linux.namespaces.some(
    ({ type, path: joined }) => type === 'network' && joined === undefined,
  )
  return hasNamespace(config, 'user') && !isOwned
}

function filesystemOf(
  mount: RuntimeMount,
  options: MountOptions,
  context: MountContext,
): PlanRecord {
  const kind = kernelFilesystems[mount.type] ?? { flags: stepFlag.noLinks }
  if (!/^[\w.-]+$/.test(mount.type) || mount.type === 'none')
    throw new KauriError(
      'UNSUPPORTED',
      `there is no file system ${JSON.stringify(mount.type)} for ${mount.destination}`,
    )
  if (kind.at !== undefined && kind.at !== mount.destination)
    throw new KauriError('UNSUPPORTED', `${mount.type} cannot be mounted on ${mount.destination}`)
  return filesystemRecord(mount, options, { flags: kind.flags, context })
}

function checkDestination(mount: RuntimeMount, options: MountOptions): void {
  const problem = destinationProblem(mount, options)
  if (problem !== undefined)
    throw new KauriError(
      'USAGE',
      `nothing can be mounted on ${JSON.stringify(mount.destination)}: ${problem}`,
    )
}

function destinationProblem(
  { destination, type, source }: RuntimeMount,
  { isBind, isRemount }: MountOptions,
): string | undefined {
  if (!destination.startsWith('/')) return 'a mount point in a container is an absolute path'
  if (destination === '/') return 'it is the root'
  if (path.posix.resolve(destination) !== destination) return 'it is not in its shortest form'
  if (isRemount || (isBind && hostViews.has(destination) && source === destination))
    return undefined
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

/** The container's own cgroups and nothing above them, as binds; version 1 by the names that hierarchies are mounted by. */
function ownCgroupRecords(
  mount: RuntimeMount,
  options: MountOptions,
  context: MountContext,
): PlanRecord[] {
  const binding = { ...options, data: [], flags: stepFlag.noLinks }
  const owned = visibleHierarchies(context.layout).flatMap(({ version, mountPoint }) => {
    const source = (context.cgroupDirectories ?? []).find(each => each.startsWith(`${mountPoint}/`))
    return source === undefined ? [] : [{ version, mountPoint, source }]
  })
  const [only] = owned
  if (only?.version === 2) return [bindRecord({ ...mount, source: only.source }, binding, context)]
  const writable = { ...options, attributes: options.attributes & ~mountAttribute.readonly }
  const top = { ...mount, type: 'tmpfs', source: 'tmpfs' }
  const flags = stepFlag.noLinks
  return [
    filesystemRecord(top, { ...writable, data: ['mode=755', 'size=64k'] }, { flags, context }),
    ...owned.map(({ mountPoint, source }) =>
      bindRecord(
        {
          destination: path.posix.join(mount.destination, path.basename(mountPoint)),
          type: 'bind',
          source,
          options: [],
        },
        binding,
        context,
      ),
    ),
    [planTag.attributes, mount.destination, options.attributes],
  ]
}

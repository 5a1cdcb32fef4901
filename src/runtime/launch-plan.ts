// A bundle as the launcher's plan: every decision is taken and every value checked here.

import { KauriError } from '../core/errors.ts'
import type {
  IdMapping,
  NamespaceType,
  ProcessConfig,
  Rlimit,
  RuntimeConfig,
} from '../oci/runtime-config.ts'
import { capabilityBits } from './capabilities.ts'
import type { ContainerCgroup } from './cgroup.ts'
import type { CgroupLayout } from './cgroup-layout.ts'
import { mountAttribute, overlayMountOptions } from './mount-options.ts'
import { mountRecords } from './mount-records.ts'
import { type PlanRecord, planTag } from './plan-writer.ts'
import type { NetworkSetup, RootMount } from './runtime.ts'
import { settingsRecords } from './settings-records.ts'

export interface LaunchContext {
  readonly root: RootMount
  readonly io: PlanStreams
  readonly layout: CgroupLayout
  readonly cgroup: ContainerCgroup
  /** A directory with mount points that the root lacks; the lowest layer of an overlay. */
  readonly mountPoints?: string | undefined
  readonly network?: NetworkSetup | undefined
  /** The compiled filter. */
  readonly seccomp?: Uint8Array | undefined
}

/** What the plan must say of the program's streams. */
export type PlanStreams =
  /** They stay what the launcher has. */
  | { readonly kind: 'inherit' }
  /** Standard error goes where standard output does. */
  | { readonly kind: 'lines' }
  | { readonly kind: 'terminal'; readonly consoleSocket?: string | undefined }

/** CLONE_NEW bits of linux/sched.h. */
const namespaceBits: Readonly<Record<NamespaceType, number>> = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
  time: 0x00000080,
}

/** Those of others that a container may be in; its mounts are always its own. */
const joinable: ReadonlySet<NamespaceType> = new Set([
  'network',
  'ipc',
  'uts',
  'pid',
  'user',
  'cgroup',
  'time',
])

/** CLONE_NEW bits of all namespaces that a container does not share with the host by its configuration. */
export function ownNamespaceBits({ linux: { namespaces } }: RuntimeConfig): number {
  return namespaces.reduce((bits, { type }) => bits | namespaceBits[type], 0)
}

const rlimitNumbers: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
}

/** SECCOMP_FILTER_FLAG_SPEC_ALLOW: without it older kernels slow every program of the container down. */
const seccompSpecAllow = 4

const defaultUmask = 0o022

/** @throws USAGE, UNSUPPORTED for what cannot or must not be done */
export function launchPlan(config: RuntimeConfig, context: LaunchContext): readonly PlanRecord[] {
  return [
    ...namespaceRecords(config, context),
    ...cgroupRecords(context.cgroup),
    rootRecord(config, context),
    ...mountRecords(config, {
      layout: context.layout,
      // Nobody may make device nodes in a user namespace, but the host's can be bound.
      limitsDevices: context.cgroup.limitsDevices && !hasOwnUsers(config),
      cgroupDirectories: context.cgroup.directories,
    }),
    ...streamRecords(config.process, context.io),
    ...processRecords(config.process),
    ...settingsRecords(config),
    ...seccompRecords(context.seccomp),
  ]
}

export function seccompRecords(filter: Uint8Array | undefined): PlanRecord[] {
  return filter === undefined ? [] : [[planTag.seccomp, seccompSpecAllow, filter]]
}

function hasOwnUsers({ linux: { namespaces } }: RuntimeConfig): boolean {
  return namespaces.some(({ type, path }) => type === 'user' && path === undefined)
}

function namespaceRecords(config: RuntimeConfig, { network }: LaunchContext): PlanRecord[] {
  const {
    hostname,
    linux: { namespaces },
  } = config
  let bits = 0
  const joins: PlanRecord[] = []
  for (const { type, path } of namespaces) {
    const bit = namespaceBits[type]
    if (path !== undefined && !joinable.has(type))
      throw new KauriError('UNSUPPORTED', `this runtime cannot join a ${type} namespace`)
    if (path === undefined) bits |= bit
    else joins.push([planTag.join, bit, path])
  }
  const isNew = (type: NamespaceType): boolean => (bits & namespaceBits[type]) !== 0
  if (!isNew('mount'))
    throw new KauriError('UNSUPPORTED', 'a container needs its own mount namespace')
  return [
    [planTag.namespaces, bits],
    ...joins,
    ...(hostname !== undefined && isNew('uts') ? [[planTag.hostname, hostname] as const] : []),
    ...(isNew('network') ? [[planTag.loopback] as const] : []),
    ...mappingRecords(config, { user: isNew('user'), time: isNew('time') }),
    ...networkRecords(network, isNew('network')),
  ]
}

function networkRecords(network: NetworkSetup | undefined, isNew: boolean): PlanRecord[] {
  if (network === undefined) return []
  // Elsewhere the messages would change the network of somebody else.
  if (!isNew)
    throw new KauriError('UNSUPPORTED', 'only a network namespace of its own can get an interface')
  return [
    [planTag.netlinkOutside, network.outside],
    [planTag.netlinkInside, network.inside],
  ]
}

/** What can only be said of namespaces that are new. @throws USAGE for maps without a user namespace, and the other way */
function mappingRecords(
  { linux: { uidMappings = [], gidMappings = [], timeOffsets } }: RuntimeConfig,
  isNew: { readonly user: boolean; readonly time: boolean },
): PlanRecord[] {
  const hasMaps = uidMappings.length > 0 || gidMappings.length > 0
  if (isNew.user && (uidMappings.length === 0 || gidMappings.length === 0))
    throw new KauriError('USAGE', 'a user namespace needs uidMappings and gidMappings')
  if (!isNew.user && hasMaps)
    throw new KauriError('USAGE', 'ids are mapped only in a user namespace of the container’s own')
  if (!isNew.time && timeOffsets !== undefined)
    throw new KauriError('USAGE', 'clocks are set only in a time namespace of the container’s own')
  const offsets = Object.entries(timeOffsets ?? {}).map(
    ([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`,
  )
  return [
    ...(isNew.user
      ? [[planTag.userMap, mapText(uidMappings), mapText(gidMappings), 0] as const]
      : []),
    ...(offsets.length > 0 ? [[planTag.timeOffsets, offsets.join('')] as const] : []),
  ]
}

/** As /proc/PID/uid_map takes it. */
function mapText(mappings: readonly IdMapping[]): string {
  return mappings
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join('')
}

function cgroupRecords(cgroup: ContainerCgroup): PlanRecord[] {
  const { taskFiles, version2Directory, deviceProgram } = cgroup
  return [
    ...taskFiles.map((file): PlanRecord => [planTag.cgroup, file]),
    ...(version2Directory === undefined
      ? []
      : [[planTag.cgroupDirectory, version2Directory] as const]),
    ...(version2Directory === undefined || deviceProgram === undefined
      ? []
      : [[planTag.deviceProgram, version2Directory, deviceProgram] as const]),
  ]
}

function rootRecord(
  { root: { readonly: isReadonly } }: RuntimeConfig,
  { root, cgroup, mountPoints }: LaunchContext,
): PlanRecord {
  const attributes =
    (isReadonly ? mountAttribute.readonly : 0) | (cgroup.limitsDevices ? 0 : mountAttribute.nodev)
  if (root.kind === 'directory') return [planTag.rootDirectory, attributes, root.path]
  const lower = [...root.lower, ...(mountPoints === undefined ? [] : [mountPoints])]
  const options = [
    'source=overlay',
    ...overlayMountOptions,
    ...(root.volatile === true ? ['volatile'] : []),
  ]
  if (root.upper === undefined || root.work === undefined)
    return [planTag.rootOverlay, attributes | mountAttribute.readonly, '', '', options, lower]
  return [planTag.rootOverlay, attributes, root.upper, root.work, options, lower]
}

export function streamRecords({ consoleSize }: ProcessConfig, io: PlanStreams): PlanRecord[] {
  if (io.kind === 'inherit') return []
  if (io.kind === 'lines') return [[planTag.mergeOutput]]
  return [
    [planTag.terminal, consoleSize?.height ?? 0, consoleSize?.width ?? 0],
    ...(io.consoleSocket === undefined ? [] : [[planTag.consoleSocket, io.consoleSocket] as const]),
  ]
}

export function processRecords(process: ProcessConfig): PlanRecord[] {
  const { user, capabilities, args } = process
  if (args.length === 0) throw new KauriError('USAGE', 'no command to run in the container')
  return [
    ...(process.rlimits ?? []).map(limit => rlimitRecord(limit)),
    ...(process.oomScoreAdj === undefined
      ? []
      : [[planTag.oomScore, process.oomScoreAdj] as const]),
    [
      planTag.user,
      user.uid,
      user.gid,
      user.umask ?? defaultUmask,
      (user.additionalGids ?? []).length,
      ...(user.additionalGids ?? []),
    ],
    [
      planTag.capabilities,
      capabilityBits(capabilities.bounding),
      capabilityBits(capabilities.effective),
      capabilityBits(capabilities.permitted),
      capabilityBits(capabilities.inheritable),
      capabilityBits(capabilities.ambient),
    ],
    ...(process.noNewPrivileges ? [[planTag.noNewPrivileges] as const] : []),
    [planTag.directory, absolute(process.cwd)],
    ...args.map((argument): PlanRecord => [planTag.argument, argument]),
    ...process.env.map((variable): PlanRecord => [planTag.environment, variable]),
  ]
}

function rlimitRecord({ type, soft, hard }: Rlimit): PlanRecord {
  const number = rlimitNumbers[type]
  if (number === undefined) throw new KauriError('USAGE', `there is no resource limit ${type}`)
  return [planTag.rlimit, number, rlimitValue(soft), rlimitValue(hard)]
}

/** -1 and Infinity: unlimited, which the kernel writes with all bits set. */
function rlimitValue(value: number): bigint {
  return value < 0 || !Number.isFinite(value) ? 0xffff_ffff_ffff_ffffn : BigInt(Math.floor(value))
}

function absolute(directory: string): string {
  if (directory.startsWith('/')) return directory
  throw new KauriError('USAGE', `the working directory ${directory} is not an absolute path`)
}

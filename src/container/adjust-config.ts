// What few containers ask for, on top of docker's defaults: namespaces of others, devices of the host, all rights. Loaded
// only for those.

import { KauriError } from '../core/errors.ts'
import type {
  DeviceRule,
  NamespaceType,
  RuntimeConfig,
  RuntimeMount,
} from '../oci/runtime-config.ts'
import { ownCapabilities } from '../runtime/capabilities.ts'
import type { ContainerSpec } from './container.ts'
import type { ContainerNetwork } from './container-network.ts'
import { findDevices, hostDevices } from './host-devices.ts'

/** What the adjustments need to know of the start. */
export interface AdjustParts {
  readonly id: string
  readonly network: Pick<ContainerNetwork, 'namespacePath'>
  /** Namespaces of other containers, by their word: `container:NAME`. */
  readonly namespacePaths: ReadonlyMap<string, string>
}

/** False for nearly every container. */
export function needsAdjusting(
  spec: ContainerSpec,
  { namespacePath }: Pick<ContainerNetwork, 'namespacePath'>,
): boolean {
  const { pid, ipc, uts, cgroup } = spec.namespaces
  return (
    namespacePath !== undefined ||
    spec.privileged ||
    spec.unmasked ||
    spec.init ||
    spec.devices.length + spec.deviceRules.length > 0 ||
    [pid, ipc, uts, cgroup].some(word => word !== 'private') ||
    spec.domainname !== undefined ||
    spec.cgroupParent !== undefined ||
    Object.keys(spec.annotations).length > 0
  )
}

/** @throws USAGE for devices that are not there; UNSUPPORTED */
export async function adjustConfig(
  config: RuntimeConfig,
  spec: ContainerSpec,
  parts: AdjustParts,
): Promise<RuntimeConfig> {
  const shared = withNamespaces(config, spec, parts)
  const withDevices = addDevices(shared, spec)
  const open = spec.privileged || spec.unmasked ? unmasked(withDevices) : withDevices
  const granted = spec.privileged ? privileged(open) : open
  const { domainname, annotations, cgroupParent } = spec
  return {
    ...granted,
    ...(domainname === undefined ? {} : { domainname }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    mounts: [...granted.mounts, ...(spec.init ? [await initMount()] : [])],
    linux: {
      ...granted.linux,
      ...(cgroupParent === undefined ? {} : { cgroupsPath: cgroupPath(cgroupParent, parts.id) }),
    },
  }
}

/** No `..`: the cgroup stays where the caller said. */
function cgroupPath(parent: string, id: string): string {
  if (parent.split('/').includes('..') || parent.endsWith('.slice'))
    throw new KauriError('USAGE', `"${parent}" is no parent for a cgroup`, {
      hint: 'write a path below the cgroup file system, such as /builds',
    })
  return `${parent.replace(/\/+$/, '')}/${id}`
}

async function initMount(): Promise<RuntimeMount> {
  const [{ compiledPath }, { initPath }] = await Promise.all([
    import('../native/compile-native.ts'),
    import('./container-config.ts'),
  ])
  return {
    destination: initPath,
    type: 'bind',
    source: compiledPath('launcher'),
    options: ['bind', 'rprivate', 'ro', 'nosuid', 'nodev'],
  }
}

/** What is shared is left out of the new ones, or joined by its path. */
function withNamespaces(
  config: RuntimeConfig,
  { namespaces: asked }: ContainerSpec,
  { network, namespacePaths }: AdjustParts,
): RuntimeConfig {
  const words: Readonly<Partial<Record<NamespaceType, string>>> = asked
  const namespaces = config.linux.namespaces.flatMap(namespace => {
    const { type } = namespace
    if (type === 'network' && network.namespacePath !== undefined)
      return [{ type, path: network.namespacePath }]
    const word = words[type] ?? 'private'
    if (word === 'host') return []
    const path = namespacePaths.get(word)
    return [path === undefined ? namespace : { type, path: `${path}/${type}` }]
  })
  const mounts = asked.ipc === 'host' ? config.mounts.map(hostIpcMount) : config.mounts
  const isNone = asked.ipc === 'none'
  return {
    ...config,
    mounts: isNone ? mounts.filter(({ destination }) => destination !== '/dev/shm') : mounts,
    linux: { ...config.linux, namespaces },
  }
}

/** With the host's IPC namespace a container has the host's shared memory and queues. */
function hostIpcMount(mount: RuntimeMount): RuntimeMount {
  const { destination, type } = mount
  if (!['/dev/shm', '/dev/mqueue'].includes(destination) || type === 'bind') return mount
  return { destination, type: 'bind', source: destination, options: ['rbind', 'rprivate', 'rw'] }
}

function addDevices(config: RuntimeConfig, { devices, deviceRules }: ContainerSpec): RuntimeConfig {
  if (devices.length + deviceRules.length === 0) return config
  const found = devices.flatMap(findDevices)
  const rules = found.map(({ node, access }): DeviceRule => {
    const { type, major, minor } = node
    return { allow: true, type: type === 'b' ? 'b' : 'c', access, ...numbers(major, minor) }
  })
  const { resources = {}, devices: own = [] } = config.linux
  return withDeviceRules(
    { ...config, linux: { ...config.linux, devices: [...own, ...found.map(({ node }) => node)] } },
    [...(resources.devices ?? []), ...rules, ...deviceRules],
  )
}

function numbers(
  major: number | undefined,
  minor: number | undefined,
): Pick<DeviceRule, 'major' | 'minor'> {
  return {
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
  }
}

function withDeviceRules(config: RuntimeConfig, devices: readonly DeviceRule[]): RuntimeConfig {
  const { linux } = config
  return { ...config, linux: { ...linux, resources: { ...linux.resources, devices } } }
}

function unmasked(config: RuntimeConfig): RuntimeConfig {
  return { ...config, linux: { ...config.linux, maskedPaths: [], readonlyPaths: [] } }
}

/** Every right that this process has, every device of the host, the kernel's file systems writable, no filter. */
function privileged(config: RuntimeConfig): RuntimeConfig {
  const granted = ownCapabilities()
  const isRoot = config.process.user.uid === 0
  const { seccomp: _, ...linux } = config.linux
  const known = new Set((linux.devices ?? []).map(({ path }) => path))
  const devices = hostDevices().filter(({ path }) => !known.has(path))
  return withDeviceRules(
    {
      ...config,
      process: {
        ...config.process,
        noNewPrivileges: false,
        capabilities: {
          bounding: granted,
          effective: isRoot ? granted : [],
          permitted: isRoot ? granted : [],
          inheritable: [],
          ambient: [],
        },
      },
      mounts: config.mounts.map(writableKernelMount),
      linux: { ...linux, devices: [...(linux.devices ?? []), ...devices] },
    },
    [{ allow: true, access: 'rwm' }],
  )
}

function writableKernelMount(mount: RuntimeMount): RuntimeMount {
  if (!['sysfs', 'cgroup'].includes(mount.type)) return mount
  return { ...mount, options: mount.options.map(option => (option === 'ro' ? 'rw' : option)) }
}

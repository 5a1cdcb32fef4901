// What docker gives to a container that asks for nothing special, as an OCI runtime configuration: namespaces, mounts,
// devices, masks, capabilities, seccomp and sysctls (moby daemon/pkg/oci/defaults.go, 2026).

import { existsSync, readdirSync } from 'node:fs'
import type {
  DefaultSeccomp,
  DeviceNode,
  DeviceRule,
  NamespaceType,
  ProcessConfig,
  Resources,
  Rlimit,
  RuntimeConfig,
  RuntimeMount,
  SeccompConfig,
} from '../oci/runtime-config.ts'
import { adjustCapabilities } from './capabilities.ts'

export interface DefaultConfigOptions {
  readonly args: readonly string[]
  /** NAME=value, in order. */
  readonly env: readonly string[]
  readonly cwd?: string
  readonly user?: ProcessConfig['user']
  readonly terminal?: boolean
  readonly consoleSize?: { readonly height: number; readonly width: number }
  readonly hostname?: string
  /** `none`, `bridge`: a namespace with nothing but lo, where a bridge's interface can be added; `host`: the host's own. */
  readonly network: 'none' | 'host' | 'bridge'
  /** Added to the default ones; one with the same destination takes the default's place. */
  readonly mounts?: readonly RuntimeMount[]
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] }
  readonly readonlyRoot?: boolean
  /** True unless said otherwise: setuid programs give no rights. */
  readonly noNewPrivileges?: boolean
  readonly resources?: Omit<Resources, 'devices'>
  readonly rlimits?: readonly Rlimit[]
  readonly oomScoreAdj?: number
  readonly sysctl?: Readonly<Record<string, string>>
  /** Device nodes of the host, usable in the container. */
  readonly devices?: readonly (DeviceNode & { readonly access?: string })[]
  readonly shmSizeBytes?: number
  readonly seccomp?: SeccompConfig | DefaultSeccomp | 'unconfined'
  /** Show the container's cgroups in /sys/fs/cgroup; costs a cgroup in every hierarchy. True unless said otherwise. */
  readonly showCgroups?: boolean
}

const defaultShmBytes = 64 * 1024 * 1024

/** Nodes that every container has in /dev. */
const defaultDevices: readonly DeviceNode[] = [
  { path: '/dev/null', type: 'c', major: 1, minor: 3 },
  { path: '/dev/zero', type: 'c', major: 1, minor: 5 },
  { path: '/dev/full', type: 'c', major: 1, minor: 7 },
  { path: '/dev/random', type: 'c', major: 1, minor: 8 },
  { path: '/dev/urandom', type: 'c', major: 1, minor: 9 },
  { path: '/dev/tty', type: 'c', major: 5, minor: 0 },
]

/** Nodes may be made of anything; opened may be only what tells nothing of the host, and terminals of one's own devpts. */
const defaultDeviceRules: readonly DeviceRule[] = [
  { allow: false },
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  { allow: true, type: 'c', major: 1, minor: 3, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 5, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 7, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 8, access: 'rwm' },
  { allow: true, type: 'c', major: 1, minor: 9, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 0, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 1, access: 'rwm' },
  { allow: true, type: 'c', major: 5, minor: 2, access: 'rwm' },
  { allow: true, type: 'c', major: 136, access: 'rwm' },
]

const maskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]

const readonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]

/** The user's own pings and ports below 1024 need no rights in a private network. */
const networkSysctl: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start': '0',
  'net.ipv4.ping_group_range': '0 2147483647',
}

/** The bridge gives no IPv6 address, so programs shall not wait for one; `::1` stays. */
const noIpv6 = 'net.ipv6.conf.default.disable_ipv6'

function sysctlFor(network: DefaultConfigOptions['network']): Readonly<Record<string, string>> {
  if (network === 'host') return {}
  const hasIpv6 = network === 'bridge' && existsSync('/proc/sys/net/ipv6')
  return hasIpv6 ? { ...networkSysctl, [noIpv6]: '1' } : networkSysctl
}

/** @throws USAGE for capabilities that do not exist */
export function defaultRuntimeConfig(options: DefaultConfigOptions): RuntimeConfig {
  const { hostname, network, devices = [], seccomp = { kind: 'default' } } = options
  const sysctl = { ...sysctlFor(network), ...options.sysctl }
  return {
    ociVersion: '1.2.1',
    ...(hostname === undefined ? {} : { hostname }),
    process: processOf(options),
    root: { readonly: options.readonlyRoot ?? false },
    mounts: mountsOf(options),
    linux: {
      namespaces: namespacesOf(network),
      resources: {
        ...options.resources,
        devices: [...defaultDeviceRules, ...devices.map(device => ruleOf(device))],
      },
      ...(seccomp === 'unconfined' ? {} : { seccomp }),
      maskedPaths: [...maskedPaths, ...thermalThrottlePaths()],
      readonlyPaths,
      sysctl,
      devices: [...defaultDevices, ...devices],
    },
  }
}

function processOf(options: DefaultConfigOptions): ProcessConfig {
  const {
    user = { uid: 0, gid: 0, additionalGids: [0] },
    rlimits,
    oomScoreAdj,
    consoleSize,
  } = options
  const granted = adjustCapabilities(options.capabilities?.add, options.capabilities?.drop)
  // An ordinary user holds none of them; what a setuid program could gain stays in the bounding set.
  const own = user.uid === 0 ? granted : []
  return {
    terminal: options.terminal ?? false,
    ...(consoleSize === undefined ? {} : { consoleSize }),
    user,
    args: options.args,
    env: options.env,
    cwd: options.cwd ?? '/',
    capabilities: {
      bounding: granted,
      effective: own,
      permitted: own,
      inheritable: [],
      ambient: [],
    },
    ...(rlimits === undefined ? {} : { rlimits }),
    noNewPrivileges: options.noNewPrivileges ?? true,
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
  }
}

function namespacesOf(
  network: 'none' | 'host' | 'bridge',
): readonly { readonly type: NamespaceType }[] {
  const types: NamespaceType[] = ['pid', 'mount', 'uts', 'ipc', 'cgroup']
  return [...types, ...(network === 'host' ? [] : ['network' as const])].map(type => ({ type }))
}

function mountsOf({
  mounts = [],
  shmSizeBytes = defaultShmBytes,
  showCgroups = true,
}: DefaultConfigOptions): readonly RuntimeMount[] {
  const locked = ['nosuid', 'noexec', 'nodev']
  const defaults: RuntimeMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: locked },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...locked, 'ro'] },
    ...(showCgroups
      ? [
          {
            destination: '/sys/fs/cgroup',
            type: 'cgroup',
            source: 'cgroup',
            options: ['ro', ...locked],
          },
        ]
      : []),
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: locked },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...locked, 'mode=1777', `size=${shmSizeBytes}`],
    },
  ]
  const replaced = new Set(mounts.map(({ destination }) => destination))
  const added = mounts.toSorted((a, b) => depth(a.destination) - depth(b.destination))
  return [...defaults.filter(({ destination }) => !replaced.has(destination)), ...added]
}

/** A mount on /a comes before one on /a/b, or it would cover it. */
function depth(destination: string): number {
  return destination.split('/').length
}

function ruleOf({
  type,
  major,
  minor,
  access = 'rwm',
}: DeviceNode & { readonly access?: string }): DeviceRule {
  return {
    allow: true,
    type: type === 'b' ? 'b' : 'c',
    ...(major === undefined ? {} : { major }),
    ...(minor === undefined ? {} : { minor }),
    access,
  }
}

const cpuDirectory = '/sys/devices/system/cpu'

/** They tell what other tenants of the machine do. */
function thermalThrottlePaths(): string[] {
  if (!existsSync(`${cpuDirectory}/cpu0/thermal_throttle`)) return []
  return readdirSync(cpuDirectory)
    .filter(name => /^cpu\d+$/.test(name))
    .map(name => `${cpuDirectory}/${name}/thermal_throttle`)
}

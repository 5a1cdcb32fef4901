// The configuration of everything that a build runs inside a root: scripts, maintainer scripts, RUN steps.

import { existsSync } from 'node:fs'
import type {
  DeviceNode,
  ProcessConfig,
  Resources,
  Rlimit,
  RuntimeConfig,
  RuntimeMount,
} from '../oci/runtime-config.ts'
import { ownCapabilities } from './capabilities.ts'
import { defaultRuntimeConfig } from './default-config.ts'

export interface BuildStepOptions {
  readonly command: readonly string[]
  /** The whole environment, NAME=value. */
  readonly environment: readonly string[]
  readonly directory: string
  /** Root unless said otherwise. */
  readonly user?: ProcessConfig['user']
  readonly network: 'none' | 'host' | 'bridge'
  readonly mounts?: readonly RuntimeMount[]
  /** `localhost` unless said otherwise, so that no host name reaches an image. */
  readonly hostname?: string
  /** Answer fsync and its like with success, true unless said otherwise: what a build makes is synced once, at its end. */
  readonly fakeSync?: boolean
  /** All capabilities and devices, no system call filter, nothing of /proc and /sys hidden or read-only. */
  readonly insecure?: boolean
  readonly limits?: BuildStepLimits | undefined
}

/** What bounds a step. */
export interface BuildStepLimits {
  readonly shmSizeBytes?: number
  readonly rlimits?: readonly Rlimit[]
  readonly resources?: Omit<Resources, 'devices'>
}

/** Docker's default rights, and no cgroups to be seen, which saves making them. */
export function buildStepConfig(options: BuildStepOptions): RuntimeConfig {
  const { command, environment, directory, user, network, mounts, fakeSync = true } = options
  const { shmSizeBytes, rlimits, resources } = options.limits ?? {}
  const config = defaultRuntimeConfig({
    args: command,
    env: environment,
    cwd: directory,
    network,
    hostname: options.hostname ?? 'localhost',
    // sudo and su are used by scripts that are root already; a build must do as a container without this flag would.
    noNewPrivileges: false,
    seccomp: options.insecure ? 'unconfined' : { kind: 'default', fakeSync },
    showCgroups: false,
    ...(user === undefined ? {} : { user }),
    ...(mounts === undefined ? {} : { mounts }),
    ...(shmSizeBytes === undefined ? {} : { shmSizeBytes }),
    ...(rlimits === undefined ? {} : { rlimits }),
    ...(resources === undefined ? {} : { resources }),
  })
  return options.insecure === true ? withoutSandbox(config) : config
}

/** As BuildKit's `--security=insecure`. Namespaces stay: the step still sees no process or mount of the host. */
function withoutSandbox(config: RuntimeConfig): RuntimeConfig {
  const { process, linux, mounts } = config
  const all = ownCapabilities()
  return {
    ...config,
    process: {
      ...process,
      capabilities: {
        bounding: all,
        effective: all,
        permitted: all,
        inheritable: all,
        ambient: all,
      },
    },
    mounts: mounts.map(mount => (mount.type === 'sysfs' ? writable(mount) : mount)),
    linux: {
      ...linux,
      resources: {
        ...linux.resources,
        devices: [
          { allow: true, type: 'c', access: 'rwm' },
          { allow: true, type: 'b', access: 'rwm' },
        ],
      },
      maskedPaths: [],
      readonlyPaths: [],
      devices: [...(linux.devices ?? []), ...hostDevices()],
    },
  }
}

/** What BuildKit gives to such a step, as far as the host has it. */
function hostDevices(): DeviceNode[] {
  const loops = Array.from({ length: loopDevices }, (_, minor): DeviceNode => {
    return { path: `/dev/loop${minor}`, type: 'b', major: 7, minor }
  })
  return [...insecureDevices, ...loops].filter(({ path }) => existsSync(path))
}

const loopDevices = 8

const insecureDevices: readonly DeviceNode[] = [
  { path: '/dev/kmsg', type: 'c', major: 1, minor: 11 },
  { path: '/dev/cuse', type: 'c', major: 10, minor: 203 },
  { path: '/dev/fuse', type: 'c', major: 10, minor: 229 },
  { path: '/dev/kvm', type: 'c', major: 10, minor: 232 },
  { path: '/dev/net/tun', type: 'c', major: 10, minor: 200 },
  { path: '/dev/loop-control', type: 'c', major: 10, minor: 237 },
]

function writable(mount: RuntimeMount): RuntimeMount {
  return { ...mount, options: mount.options.filter(option => option !== 'ro') }
}

// Drives systemd-nspawn. It makes /proc, /sys, /dev and /run itself and has its own filter of system calls; what it cannot
// take from the configuration is refused.

import { existsSync, mkdirSync, statSync } from 'node:fs'
import { KauriError } from '../../core/errors.ts'
import type { Resources, Rlimit, RuntimeConfig, RuntimeMount } from '../../oci/runtime-config.ts'
import type { ContainerDriver, DriverGround } from './driver.ts'

/** @param program systemd-nspawn by its absolute path */
export function nspawnDriver(program: string): ContainerDriver {
  return {
    name: 'nspawn',
    prepare(ground) {
      const { config } = ground
      refuseLimits(config.linux.resources ?? {})
      mkdirSync(ownState, { recursive: true, mode: 0o755 })
      return {
        args: [
          program,
          ...placeWords(ground),
          ...processWords(config),
          ...config.mounts.flatMap(mountWords),
          ...hiddenWords(config),
          '--',
          ...config.process.args,
        ],
        environment: { SYSTEMD_NSPAWN_LOCK: '0' },
        hidden: [ownState],
      }
    },
    conclude: code => ({ code, outOfMemory: false }),
  }
}

/** It makes its directories there, and asks no systemd that it does not see. */
const ownState = '/run/systemd'

/** Limits of cgroups are systemd's to set, which nspawn would have to ask. */
function refuseLimits({ memory, cpu, pids, blockIO }: Resources): void {
  const asked = Object.entries({ memory, cpu, pids, blockIO }).find(([, value]) =>
    Object.values(value ?? {}).some(member => member !== undefined),
  )
  if (asked === undefined) return
  throw new KauriError('UNSUPPORTED', `the runtime nspawn sets no limits of ${asked[0]}`, {
    hint: 'leave the limit or --runtime out',
  })
}

function placeWords({ id, rootfs, config, hasNetwork }: DriverGround): readonly string[] {
  const network = config.linux.namespaces.find(({ type }) => type === 'network')
  return [
    '--quiet',
    '--register=no',
    '--keep-unit',
    // Signals that would stop nspawn reach the program as this one.
    '--kill-signal=SIGTERM',
    '--resolv-conf=off',
    '--timezone=off',
    '--link-journal=no',
    '--console=pipe',
    `--machine=${id.slice(0, 60)}`,
    `--directory=${rootfs}`,
    ...(config.hostname === undefined ? [] : [`--hostname=${config.hostname}`]),
    ...(config.root.readonly ? ['--read-only'] : []),
    ...(network?.path === undefined ? [] : [`--network-namespace-path=${network.path}`]),
    ...(network !== undefined && network.path === undefined && !hasNetwork
      ? ['--private-network']
      : []),
  ]
}

function processWords({ process }: RuntimeConfig): readonly string[] {
  const { user, cwd, env, capabilities, noNewPrivileges, rlimits = [] } = process
  if (user.uid !== 0 || user.gid !== 0)
    throw new KauriError(
      'UNSUPPORTED',
      'the runtime nspawn knows users by name alone, and the image’s user is a number',
      {
        hint: 'run as root, or leave --runtime out',
      },
    )
  return [
    `--chdir=${cwd}`,
    `--capability=${capabilities.bounding.join(',')}`,
    ...(noNewPrivileges ? ['--no-new-privileges=yes'] : []),
    ...rlimits.map(limitWord),
    ...env.map(variable => `--setenv=${variable}`),
  ]
}

function limitWord({ type, soft, hard }: Rlimit): string {
  return `--rlimit=${type.replace(/^RLIMIT_/, '')}=${limitText(soft)}:${limitText(hard)}`
}

function limitText(value: number): string {
  return value < 0 || !Number.isFinite(value) ? 'infinity' : String(value)
}

/** What nspawn mounts by itself. */
const ownMounts = new Set([
  '/proc',
  '/sys',
  '/dev',
  '/dev/pts',
  '/dev/shm',
  '/dev/mqueue',
  '/sys/fs/cgroup',
])

function mountWords({ destination, type, source, options }: RuntimeMount): readonly string[] {
  if (ownMounts.has(destination)) return []
  const place = escaped(destination)
  if (type === 'tmpfs')
    return [`--tmpfs=${place}${options.length === 0 ? '' : `:${options.join(',')}`}`]
  const isBind = type === 'bind' || options.some(word => /^r?bind$/.test(word))
  if (!isBind)
    throw new KauriError('UNSUPPORTED', `the runtime nspawn mounts no ${type} on ${destination}`)
  const kind = options.includes('ro') ? '--bind-ro' : '--bind'
  const depth = options.includes('bind') && !options.includes('rbind') ? 'norbind' : 'rbind'
  return [`${kind}=${escaped(source)}:${place}:${depth}`]
}

/** Its own /sys shows little; files of the kernel are covered as everywhere. */
function hiddenWords({ linux: { maskedPaths } }: RuntimeConfig): readonly string[] {
  return maskedPaths
    .filter(hidden => hidden.startsWith('/proc/') && existsSync(hidden))
    .map(hidden =>
      statSync(hidden).isDirectory() ? `--tmpfs=${hidden}:ro` : `--bind-ro=/dev/null:${hidden}`,
    )
}

/** Colons separate the fields. */
function escaped(file: string): string {
  return file.replace(/[\\:]/g, '\\$&')
}

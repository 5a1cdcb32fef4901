// Drives LXC: writes an lxc.container.conf(5) and calls lxc-execute, whose small init is the first process, reaps, passes
// signals on and ends with the program's code. LXC mounts /dev itself; everything else is what the configuration says.

import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../../core/errors.ts'
import type { RuntimeConfig, RuntimeMount } from '../../oci/runtime-config.ts'
import type { ContainerDriver, DriverGround } from './driver.ts'
import { lxcLimits } from './lxc-limits.ts'
import { lxcSeccomp } from './lxc-seccomp.ts'

/** @param program lxc-execute by its absolute path */
export function lxcDriver(program: string): ContainerDriver {
  return {
    name: 'lxc',
    prepare(ground) {
      const { config, directory, id } = ground
      const file = path.join(directory, 'lxc.conf')
      const seccomp = lxcSeccomp(config)
      const policy = path.join(directory, 'seccomp')
      if (seccomp !== undefined) writeFileSync(policy, seccomp, { mode: 0o600 })
      const lines = [
        ...lxcLines(ground),
        ...(seccomp === undefined ? [] : [['lxc.seccomp.profile', policy] as const]),
      ]
      writeFileSync(file, lines.map(([key, value]) => `${key} = ${oneLine(value)}\n`).join(''), {
        mode: 0o600,
      })
      const state = path.join(directory, 'lxc')
      mkdirSync(state, { mode: 0o700 })
      const places = ['--lxcpath', state, '--rcfile', file]
      const log = ['--logfile', path.join(directory, 'lxc.log'), '--logpriority', 'ERROR']
      return {
        args: [program, '--name', id, ...places, ...log, '--', ...config.process.args],
        joinsNetwork: true,
      }
    },
    conclude: code => ({ code, outOfMemory: false }),
  }
}

type Line = readonly [key: string, value: string]

/** A value with a line break would be another setting. */
function oneLine(value: string): string {
  if (!/[\n\r\0]/.test(value)) return value
  throw new KauriError(
    'UNSUPPORTED',
    `LXC takes no line break in ${JSON.stringify(value.slice(0, 60))}`,
  )
}

function lxcLines(ground: DriverGround): readonly Line[] {
  const { config, rootfs } = ground
  return [
    ['lxc.rootfs.path', `dir:${rootfs}`],
    ...(config.root.readonly ? [['lxc.rootfs.options', 'ro'] as const] : []),
    ...(config.hostname === undefined ? [] : [['lxc.uts.name', config.hostname] as const]),
    ...networkLines(ground),
    ['lxc.autodev', '1'],
    ['lxc.pty.max', '64'],
    ['lxc.tty.max', '0'],
    ['lxc.apparmor.profile', 'unconfined'],
    ...config.mounts.flatMap(mountLines),
    ...hiddenLines(config),
    ...processLines(config),
    ...lxcLimits(config),
  ]
}

/** LXC's program is in the container's network from its beginning, or in the host's. */
function networkLines({ config }: DriverGround): readonly Line[] {
  const own = config.linux.namespaces.find(({ type }) => type === 'network')
  if (own?.path !== undefined) return [['lxc.namespace.share.net', own.path]]
  return [['lxc.net.0.type', 'none']]
}

/** What LXC mounts by itself. */
const ownMounts = new Set(['/dev', '/dev/pts', '/dev/mqueue'])

function mountLines({ destination, type, source, options }: RuntimeMount): readonly Line[] {
  if (ownMounts.has(destination)) return []
  if (type === 'cgroup' || type === 'cgroup2') return [['lxc.mount.auto', 'cgroup:ro:force']]
  const isBind = type === 'bind' || options.some(word => /^r?bind$/.test(word))
  const kept = options.filter(word => !/^r?(?:private|slave|bind)$/.test(word))
  const depth = options.includes('bind') && !options.includes('rbind') ? 'bind' : 'rbind'
  const made = isBind && !isDirectory(source) ? 'create=file' : 'create=dir'
  const words = [...(isBind ? [depth] : []), ...kept, made]
  const fields = [
    isBind ? source : source || type,
    destination.slice(1),
    isBind ? 'none' : type,
    words.join(','),
  ]
  return [['lxc.mount.entry', `${fields.map(escaped).join(' ')} 0 0`]]
}

function isDirectory(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isDirectory() === true
}

/** As fstab(5) writes white space. */
function escaped(field: string): string {
  return field.replace(
    /[\s\\]/g,
    character => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  )
}

/** What is hidden is as the host's kernel has it: its files are covered by the null device, its directories by nothing. */
function hiddenLines({ linux: { maskedPaths, readonlyPaths } }: RuntimeConfig): readonly Line[] {
  return [
    ...maskedPaths.map(hidden =>
      entry(
        isDirectory(hidden) ? emptyOn(hidden) : `/dev/null ${hidden.slice(1)} none bind,optional`,
      ),
    ),
    ...readonlyPaths.map(locked => entry(`${locked} ${locked.slice(1)} none bind,ro,optional`)),
  ]
}

function emptyOn(directory: string): string {
  return `tmpfs ${directory.slice(1)} tmpfs ro,nosuid,nodev,noexec,optional`
}

function entry(text: string): Line {
  return ['lxc.mount.entry', `${text} 0 0`]
}

function processLines({ process }: RuntimeConfig): readonly Line[] {
  const { user, capabilities, cwd, env, noNewPrivileges } = process
  const kept = capabilities.bounding.map(name => name.replace(/^CAP_/, '').toLowerCase())
  return [
    ['lxc.init.uid', String(user.uid)],
    ['lxc.init.gid', String(user.gid)],
    ...((user.additionalGids ?? []).length > 0
      ? [['lxc.init.groups', (user.additionalGids ?? []).join(',')] as const]
      : []),
    ['lxc.init.cwd', cwd],
    ['lxc.cap.keep', kept.length === 0 ? 'none' : kept.join(' ')],
    ...(noNewPrivileges ? [['lxc.no_new_privs', '1'] as const] : []),
    ...env.map((variable): Line => ['lxc.environment', variable]),
  ]
}

// Options of `run` and `create` that give a container more of the host, or less: capabilities, filters, devices,
// namespaces, kernel settings.

import process from 'node:process'
import type { ContainerSpec, DeviceRequest } from '../container/container.ts'
import { KauriError } from '../core/errors.ts'
import type { DeviceRule } from '../oci/runtime-resources.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'
import { badValue, parseBoolean, parseInteger, parseKeyValues } from './option-values.ts'

export const rightsOptions: readonly OptionSpec[] = [
  { long: 'cap-add', value: 'CAPABILITY', repeat: true, summary: 'Add a capability, or ALL' },
  { long: 'cap-drop', value: 'CAPABILITY', repeat: true, summary: 'Drop a capability, or ALL' },
  { long: 'cgroup-parent', value: 'PATH', summary: 'Make its cgroups below this one' },
  {
    long: 'cgroupns',
    value: 'WHICH',
    choices: ['private', 'host'],
    summary: 'Cgroup namespace, private by default',
  },
  {
    long: 'device',
    value: 'SRC[:DST[:rwm]]',
    repeat: true,
    summary: 'Let it use a device of the host, or those of a directory',
  },
  {
    long: 'device-cgroup-rule',
    value: 'RULE',
    repeat: true,
    summary: "Allow devices by number, such as 'c 10:229 rwm'",
  },
  { long: 'domainname', value: 'NAME', summary: "The container's NIS domain name" },
  { long: 'gpus', value: 'GPUS', summary: 'Refused: name the devices with --device' },
  {
    long: 'group-add',
    value: 'GROUP',
    repeat: true,
    summary: 'Add a group, by name or number, to those of the process',
  },
  { long: 'ipc', value: 'WHICH', summary: 'IPC namespace: private, none, host' },
  {
    long: 'oom-score-adj',
    value: 'N',
    summary: 'How early it is killed for memory, -1000 to 1000',
  },
  { long: 'pid', value: 'WHICH', summary: 'PID namespace: private, host, container:NAME' },
  { long: 'privileged', summary: 'Give it all rights and devices of the host' },
  {
    long: 'security-opt',
    value: 'OPTION',
    repeat: true,
    summary: 'seccomp=unconfined|FILE, no-new-privileges[=false], systempaths=unconfined',
  },
  { long: 'sysctl', value: 'KEY=VALUE', repeat: true, summary: 'Set a kernel setting of its own' },
  {
    long: 'userns',
    value: 'WHICH',
    choices: ['host'],
    summary: 'User namespace; only that of the host',
  },
  { long: 'uts', value: 'WHICH', choices: ['host'], summary: 'Use the host name of the host' },
]

type Rights = Pick<
  ContainerSpec,
  | 'addCapabilities'
  | 'dropCapabilities'
  | 'seccomp'
  | 'noNewPrivileges'
  | 'unmasked'
  | 'privileged'
  | 'namespaces'
  | 'devices'
  | 'deviceRules'
  | 'sysctl'
  | 'groups'
  | 'oomScoreAdj'
  | 'cgroupParent'
  | 'domainname'
>

/** @throws USAGE, UNSUPPORTED */
export async function readRights(options: ParsedOptions): Promise<Rights> {
  if (options.text('gpus') !== undefined)
    throw new KauriError('UNSUPPORTED', '--gpus needs a driver of its vendor', {
      hint: 'give the devices with --device, such as --device /dev/dri',
    })
  const oomScore = options.text('oom-score-adj')
  const namespaces = readNamespaces(options)
  return {
    ...(await readSecurity(options)),
    privileged: options.flag('privileged'),
    namespaces,
    devices: options.texts('device').map(parseDevice),
    deviceRules: options.texts('device-cgroup-rule').map(parseDeviceRule),
    sysctl: readSysctl(options, namespaces),
    groups: options.texts('group-add'),
    oomScoreAdj:
      oomScore === undefined
        ? undefined
        : parseInteger('--oom-score-adj', oomScore, { min: -1000, max: 1000 }),
    cgroupParent: options.text('cgroup-parent'),
    domainname: options.text('domainname'),
  }
}

type Security = Pick<
  Rights,
  'addCapabilities' | 'dropCapabilities' | 'seccomp' | 'noNewPrivileges' | 'unmasked'
>

async function readSecurity(options: ParsedOptions): Promise<Security> {
  let rights: Security = {
    addCapabilities: options.texts('cap-add'),
    dropCapabilities: options.texts('cap-drop'),
    seccomp: undefined,
    noNewPrivileges: true,
    unmasked: false,
  }
  for (const text of options.texts('security-opt')) {
    const [, key = '', value] = /^([^=:]+)(?:[=:](.*))?$/.exec(text) ?? []
    if (key === 'no-new-privileges')
      rights = { ...rights, noNewPrivileges: parseBoolean('--security-opt', value ?? 'true') }
    else if (key === 'seccomp' && value !== undefined)
      rights = { ...rights, seccomp: await readSeccomp(value, rights) }
    else if (key === 'systempaths' && value === 'unconfined') rights = { ...rights, unmasked: true }
    else
      throw badValue(
        '--security-opt',
        text,
        'write seccomp=unconfined, seccomp=FILE, no-new-privileges=false or systempaths=unconfined',
      )
  }
  return rights
}

async function readSeccomp(value: string, rights: Security): Promise<Rights['seccomp']> {
  if (value === 'unconfined') return 'unconfined'
  if (value === 'builtin') return undefined
  const { readSeccompProfile } = await import('../container/seccomp-profile.ts')
  const { adjustCapabilities } = await import('../runtime/capabilities.ts')
  const capabilities = adjustCapabilities(rights.addCapabilities, rights.dropCapabilities)
  return await readSeccompProfile(value, { capabilities, arch: process.arch })
}

function readNamespaces(options: ParsedOptions): ContainerSpec['namespaces'] {
  const pid = options.text('pid') ?? 'private'
  const ipc = options.text('ipc') ?? 'private'
  if (!/^(?:private|host|container:.+)$/.test(pid))
    throw badValue('--pid', pid, 'write private, host or container:NAME')
  if (ipc === 'shareable' || ipc.startsWith('container:'))
    throw new KauriError('UNSUPPORTED', `--ipc ${ipc}: no container gives its /dev/shm away`, {
      hint: 'use --ipc host, or a volume that both containers mount',
    })
  if (!/^(?:private|none|host)$/.test(ipc))
    throw badValue('--ipc', ipc, 'write private, none or host')
  const uts = options.text('uts') === 'host' ? 'host' : 'private'
  if (uts === 'host' && options.text('hostname') !== undefined)
    throw new KauriError('USAGE', 'conflicting options: hostname and the UTS mode')
  return {
    pid,
    ipc,
    uts,
    cgroup: options.text('cgroupns') === 'host' ? 'host' : 'private',
  }
}

/** `SRC`, `SRC:rwm`, `SRC:DST`, `SRC:DST:rwm`. */
function parseDevice(text: string): DeviceRequest {
  const [source = '', second, third, ...rest] = text.split(':')
  const destination = second === undefined || isAccess(second) ? source : second
  const access = third ?? (isAccess(second) ? second : undefined) ?? 'rwm'
  const isWhole = source.startsWith('/') && destination.startsWith('/') && isAccess(access)
  if (isWhole && rest.length === 0) return { source, destination, access }
  throw badValue('--device', text, 'write a path such as /dev/fuse, or SRC:DST:rwm')
}

function isAccess(word: string | undefined): boolean {
  return /^(?!.*(.).*\1)[rwm]+$/.test(word ?? '')
}

function parseDeviceRule(text: string): DeviceRule {
  const [, type = '', major = '', minor = '', access = ''] =
    /^([acb]) (\d{1,7}|\*):(\d{1,7}|\*) ([rwm]{1,3})$/.exec(text) ?? []
  if (access === '')
    throw badValue('--device-cgroup-rule', text, "write a rule such as 'c 10:229 rwm'")
  return {
    allow: true,
    ...(type === 'a' ? {} : { type: type === 'b' ? 'b' : 'c' }),
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  }
}

/** What the IPC namespace has of its own; everything of net. is the network namespace's. */
const ipcSettings = new Set(
  'kernel.msgmax kernel.msgmnb kernel.msgmni kernel.sem kernel.shmall kernel.shmmax kernel.shmmni kernel.shm_rmid_forced'.split(
    ' ',
  ),
)

/** A setting of the host is none of a container's. */
function readSysctl(
  options: ParsedOptions,
  { ipc }: ContainerSpec['namespaces'],
): Readonly<Record<string, string>> {
  const settings = parseKeyValues('--sysctl', options.texts('sysctl'))
  const hasHostNetwork = options.texts('network').includes('host')
  for (const key of Object.keys(settings)) {
    const isIpc = ipcSettings.has(key) || key.startsWith('fs.mqueue.')
    const isNetwork = key.startsWith('net.')
    const isSafe = /^[\w.-]+$/.test(key) && !key.includes('..')
    if (isSafe && isNetwork && !hasHostNetwork) continue
    if (isSafe && isIpc && ipc !== 'host') continue
    throw badValue(
      '--sysctl',
      key,
      isNetwork || isIpc
        ? 'the container shares the namespace of that setting with the host'
        : 'a container has only settings of net., fs.mqueue. and System V IPC of its own',
    )
  }
  return settings
}

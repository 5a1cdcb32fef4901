// The options of `kauri run`, in docker's spelling and meaning, and what they say to the container room.

import { isIP } from 'node:net'
import process from 'node:process'
import { type ContainerRequest, hostGateway } from '../container/container.ts'
import { onDefaultBridge } from '../container/network-request.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'
import { readEnvironment } from './environment-options.ts'
import { readResources } from './limit-options.ts'
import { parseMount } from './mount-fields.ts'
import { parseTmpfs, parseVolume } from './mount-options.ts'
import { badValue, parseBoolean, parseBytes, parseLabels, parseUlimit } from './option-values.ts'
import { parsePublish } from './port-options.ts'

/** Options of `run`; each is honoured or refused. */
export const runOptions: readonly OptionSpec[] = [
  {
    long: 'add-host',
    value: 'NAME:ADDRESS',
    repeat: true,
    summary: 'Add a line to /etc/hosts; the address host-gateway is the host',
  },
  { long: 'cap-add', value: 'CAPABILITY', repeat: true, summary: 'Add a capability, or ALL' },
  { long: 'cap-drop', value: 'CAPABILITY', repeat: true, summary: 'Drop a capability, or ALL' },
  {
    long: 'cpu-shares',
    short: 'c',
    value: 'N',
    summary: 'Weight of the CPU share, 1024 by default',
  },
  { long: 'cpus', value: 'N', summary: 'Number of processors, such as 1.5' },
  { long: 'cpuset-cpus', value: 'LIST', summary: 'Processors to run on, such as 0-2,4' },
  { long: 'cpuset-mems', value: 'LIST', summary: 'Memory nodes to use' },
  { long: 'dns', value: 'ADDRESS', repeat: true, summary: "Ask this server, not the host's" },
  { long: 'dns-option', value: 'OPTION', repeat: true, summary: 'Set an option of the resolver' },
  { long: 'dns-search', value: 'DOMAIN', repeat: true, summary: 'Search this domain; . for none' },
  { long: 'entrypoint', value: 'PROGRAM', summary: "Program in place of the image's entrypoint" },
  { long: 'env', short: 'e', value: 'NAME[=VALUE]', repeat: true, summary: 'Set a variable' },
  { long: 'env-file', value: 'FILE', repeat: true, summary: 'Set the variables of a file' },
  { long: 'hostname', short: 'h', value: 'NAME', summary: "The container's host name" },
  { long: 'interactive', short: 'i', summary: 'Keep standard input open' },
  { long: 'label', short: 'l', value: 'KEY=VALUE', repeat: true, summary: 'Set a label' },
  { long: 'memory', short: 'm', value: 'BYTES', summary: 'Limit memory, such as 64m' },
  { long: 'memory-reservation', value: 'BYTES', summary: 'Soft limit of memory' },
  { long: 'memory-swap', value: 'BYTES', summary: 'Limit memory and swap together; -1: no limit' },
  { long: 'mount', value: 'KEY=VALUE,...', repeat: true, summary: 'Mount, in long form' },
  { long: 'name', value: 'NAME', summary: 'Name of the container' },
  {
    long: 'network',
    value: 'NETWORK',
    choices: ['bridge', 'none', 'host'],
    summary: 'What the container reaches, bridge by default',
  },
  { long: 'pids-limit', value: 'N', summary: 'Limit processes and threads; -1: no limit' },
  { long: 'platform', value: 'OS/ARCH', summary: 'Which of several platforms of the image' },
  {
    long: 'publish',
    short: 'p',
    value: '[[ADDRESS:]PORT:]PORT[/udp]',
    repeat: true,
    summary: 'Let a port of the host lead to one of the container',
  },
  { long: 'read-only', summary: "Mount the container's root read-only" },
  { long: 'rm', summary: 'Remove the container when it ends' },
  {
    long: 'security-opt',
    value: 'OPTION',
    repeat: true,
    summary: 'seccomp=unconfined|FILE, no-new-privileges[=false]',
  },
  { long: 'shm-size', value: 'BYTES', summary: 'Size of /dev/shm, 64m by default' },
  { long: 'tmpfs', value: 'DST[:OPTIONS]', repeat: true, summary: 'Mount a temporary file system' },
  { long: 'tty', short: 't', summary: 'Give the container a terminal' },
  { long: 'ulimit', value: 'NAME=SOFT[:HARD]', repeat: true, summary: 'Set a resource limit' },
  { long: 'user', short: 'u', value: 'USER[:GROUP]', summary: 'User and group, by name or number' },
  {
    long: 'volume',
    short: 'v',
    value: 'SRC:DST[:ro]',
    repeat: true,
    summary: 'Mount a host directory',
  },
  { long: 'workdir', short: 'w', value: 'DIR', summary: 'Working directory in the container' },
]

/** What the options ask for. @throws USAGE, UNSUPPORTED */
export async function readRunRequest(
  options: ParsedOptions,
): Promise<Omit<ContainerRequest, 'image' | 'imageName' | 'command'>> {
  const entrypoint = options.text('entrypoint')
  const shmSize = options.text('shm-size')
  return {
    name: options.text('name'),
    entrypoint: entrypoint === undefined ? undefined : entrypoint === '' ? [] : [entrypoint],
    environment: await readEnvironment(
      options.texts('env-file'),
      options.texts('env'),
      process.env,
    ),
    user: options.text('user'),
    workingDirectory: options.text('workdir'),
    hostname: checkedHostname(options.text('hostname')),
    terminal: options.flag('tty'),
    interactive: options.flag('interactive'),
    removeAfter: options.flag('rm'),
    readOnlyRoot: options.flag('read-only'),
    network: readNetwork(options.text('network')),
    extraHosts: readExtraHosts(options.texts('add-host')),
    resolver: readResolver(options),
    ports: options.texts('publish').flatMap(text => parsePublish(text)),
    mounts: [
      ...options.texts('volume').map(parseVolume),
      ...options.texts('mount').map(parseMount),
      ...options.texts('tmpfs').map(parseTmpfs),
    ],
    ...(await readRights(options)),
    resources: readResources(options),
    rlimits: options.texts('ulimit').map(text => parseUlimit('--ulimit', text)),
    shmSizeBytes: shmSize === undefined ? undefined : parseBytes('--shm-size', shmSize),
    labels: parseLabels('--label', options.texts('label')),
  }
}

/** The kernel takes 64 bytes; the rest is what names of hosts are made of. */
function checkedHostname(text: string | undefined): string | undefined {
  if (text === undefined || /^[a-zA-Z0-9][a-zA-Z0-9.-]{0,63}$/.test(text)) return text
  throw badValue('--hostname', text, 'write 1 to 64 letters, digits, "." and "-"')
}

/** The parser has checked the choice. */
function readNetwork(text: string | undefined): ContainerRequest['network'] {
  return text === 'host' || text === 'none' ? { kind: text } : onDefaultBridge
}

function readResolver(options: ParsedOptions): ContainerRequest['resolver'] {
  const servers = options.texts('dns').map(text => {
    if (isIP(text) > 0) return text
    throw badValue('--dns', text, 'write an IP address')
  })
  return {
    servers,
    search: options.texts('dns-search').map(text => parseWord('--dns-search', text)),
    options: options.texts('dns-option').map(text => parseWord('--dns-option', text)),
  }
}

/** What stands in one line of a file among others. */
function parseWord(option: string, text: string): string {
  if (/^[^\s\p{Cc}]+$/u.test(text)) return text
  throw badValue(option, text, 'write one word')
}

function readExtraHosts(texts: readonly string[]): readonly string[] {
  return texts.map(text => {
    const [, name = '', address = ''] = /^([^\s:=]+)[:=]\[?([^\s\]]+)\]?$/.exec(text) ?? []
    if (isIP(address) > 0 || address === hostGateway) return `${name}:${address}`
    throw badValue('--add-host', text, `write NAME:ADDRESS with an IP address or ${hostGateway}`)
  })
}

type Rights = Pick<
  ContainerRequest,
  'addCapabilities' | 'dropCapabilities' | 'seccomp' | 'noNewPrivileges'
>

async function readRights(options: ParsedOptions): Promise<Rights> {
  let rights: Rights = {
    addCapabilities: options.texts('cap-add'),
    dropCapabilities: options.texts('cap-drop'),
    seccomp: undefined,
    noNewPrivileges: true,
  }
  for (const text of options.texts('security-opt')) {
    const [, key = '', value] = /^([^=:]+)(?:[=:](.*))?$/.exec(text) ?? []
    if (key === 'no-new-privileges')
      rights = { ...rights, noNewPrivileges: parseBoolean('--security-opt', value ?? 'true') }
    else if (key === 'seccomp' && value !== undefined)
      rights = { ...rights, seccomp: await readSeccomp(value, rights) }
    else
      throw badValue(
        '--security-opt',
        text,
        'write seccomp=unconfined, seccomp=FILE or no-new-privileges=false',
      )
  }
  return rights
}

async function readSeccomp(value: string, rights: Rights): Promise<Rights['seccomp']> {
  if (value === 'unconfined') return 'unconfined'
  if (value === 'builtin') return undefined
  const { readSeccompProfile } = await import('../container/seccomp-profile.ts')
  const { adjustCapabilities } = await import('../runtime/capabilities.ts')
  const capabilities = adjustCapabilities(rights.addCapabilities, rights.dropCapabilities)
  return await readSeccompProfile(value, { capabilities, arch: process.arch })
}

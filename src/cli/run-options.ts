// The options of `kauri run`, in docker's spelling and meaning, and what they say to the container room.

import { isIP } from 'node:net'
import process from 'node:process'
import { type ContainerSpec, hostGateway } from '../container/container.ts'
import type { CommandContext, OptionSpec, ParsedOptions } from './command.ts'
import { readEnvironment, readLabelFiles } from './environment-options.ts'
import { lifeOptions, readLife } from './life-options.ts'
import { limitOptions, readResources } from './limit-options.ts'
import { parseMount } from './mount-fields.ts'
import { parseTmpfs, parseVolume } from './mount-options.ts'
import { networkOptions, readNetworking } from './network-options.ts'
import { badValue, parseBytes, parseLabels, parseUlimit } from './option-values.ts'
import { readRights, rightsOptions } from './rights-options.ts'

/** Options of `run`; each is honoured or refused. */
export const runOptions: readonly OptionSpec[] = [
  {
    long: 'add-host',
    value: 'NAME:ADDRESS',
    repeat: true,
    summary: 'Add a line to /etc/hosts; the address host-gateway is the host',
  },
  { long: 'dns', value: 'ADDRESS', repeat: true, summary: "Ask this server, not the host's" },
  { long: 'dns-option', value: 'OPTION', repeat: true, summary: 'Set an option of the resolver' },
  { long: 'dns-search', value: 'DOMAIN', repeat: true, summary: 'Search this domain; . for none' },
  { long: 'entrypoint', value: 'PROGRAM', summary: "Program in place of the image's entrypoint" },
  { long: 'env', short: 'e', value: 'NAME[=VALUE]', repeat: true, summary: 'Set a variable' },
  { long: 'env-file', value: 'FILE', repeat: true, summary: 'Set the variables of a file' },
  { long: 'hostname', short: 'h', value: 'NAME', summary: "The container's host name" },
  { long: 'interactive', short: 'i', summary: 'Keep standard input open' },
  { long: 'label', short: 'l', value: 'KEY=VALUE', repeat: true, summary: 'Set a label' },
  { long: 'mount', value: 'KEY=VALUE,...', repeat: true, summary: 'Mount, in long form' },
  { long: 'label-file', value: 'FILE', repeat: true, summary: 'Set the labels of a file' },
  { long: 'name', value: 'NAME', summary: 'Name of the container' },
  ...networkOptions,
  { long: 'platform', value: 'OS/ARCH', summary: 'Which of several platforms of the image' },
  { long: 'read-only', summary: "Mount the container's root read-only" },
  { long: 'rm', summary: 'Remove the container when it ends' },
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
    summary: 'Mount a host directory, or a volume by its name',
  },
  {
    long: 'volumes-from',
    value: 'CONTAINER[:ro]',
    repeat: true,
    summary: 'Mount the volumes and binds of another container',
  },
  { long: 'workdir', short: 'w', value: 'DIR', summary: 'Working directory in the container' },
  ...limitOptions,
  ...rightsOptions,
  ...lifeOptions,
]

/** Where the id is written to. */
export const cidfileOption: OptionSpec = {
  long: 'cidfile',
  value: 'FILE',
  summary: 'Write the id to this file, which must not be there',
}

/** What the options ask for. @throws USAGE, UNSUPPORTED */
export async function readRunRequest(
  options: ParsedOptions,
): Promise<Omit<ContainerSpec, 'imageName' | 'command'>> {
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
    readOnlyRoot: options.flag('read-only'),
    ...readNetworking(options),
    extraHosts: readExtraHosts(options.texts('add-host')),
    resolver: readResolver(options),
    mounts: [
      ...options.texts('volume').map(parseVolume),
      ...options.texts('mount').map(parseMount),
      ...options.texts('tmpfs').map(parseTmpfs),
    ],
    ...(await readRights(options)),
    ...(await readLife(options)),
    resources: readResources(options),
    rlimits: options.texts('ulimit').map(text => parseUlimit('--ulimit', text)),
    shmSizeBytes: shmSize === undefined ? undefined : parseBytes('--shm-size', shmSize),
    labels: await readLabels(options),
  }
}

/** The caller's mounts, and those of the containers that `--volumes-from` names. @throws USAGE, CONTAINER_NOT_FOUND */
export async function withVolumesFrom(
  mounts: ContainerSpec['mounts'],
  options: ParsedOptions,
  context: Pick<CommandContext, 'dataRoot'>,
): Promise<ContainerSpec['mounts']> {
  const texts = options.texts('volumes-from')
  if (texts.length === 0) return mounts
  const { mountsFrom } = await import('./volumes-from.ts')
  return mountsFrom(texts, mounts, context)
}

/** The kernel takes 64 bytes; the rest is what names of hosts are made of. */
function checkedHostname(text: string | undefined): string | undefined {
  if (text === undefined || /^[a-zA-Z0-9][a-zA-Z0-9.-]{0,63}$/.test(text)) return text
  throw badValue('--hostname', text, 'write 1 to 64 letters, digits, "." and "-"')
}

function readResolver(options: ParsedOptions): ContainerSpec['resolver'] {
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

/** Labels of files first; those of --label have the last word. */
async function readLabels(options: ParsedOptions): Promise<Record<string, string>> {
  const files = options.texts('label-file')
  const lines = files.length === 0 ? [] : await readLabelFiles(files)
  return parseLabels('--label', [...lines, ...options.texts('label')])
}

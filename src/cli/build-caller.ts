// What the caller hands to RUN instructions: secrets, ssh, proxies, rights, limits; in docker buildx's forms.

import { existsSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import type { CallerOptions, RunLimits, SecretSource, SshSource } from '../build/build.ts'
import { KauriError } from '../core/errors.ts'
import { readFields } from './build-fields.ts'
import type { ParsedOptions } from './command.ts'
import type { Environment } from './global-options.ts'
import { readResources } from './limit-options.ts'
import { badValue, parseBytes, parseInteger, parseUlimit } from './option-values.ts'

export interface CallerInput {
  readonly options: ParsedOptions
  readonly environment: Environment
  readonly buildArgs: ReadonlyMap<string, string>
}

/** @throws USAGE, FILE_NOT_FOUND for a secret or key that is not there */
export function readCaller({ options, environment, buildArgs }: CallerInput): CallerOptions {
  return {
    secrets: readSecrets(options.texts('secret'), environment),
    ssh: readSsh(options.texts('ssh'), environment),
    proxyEnvironment: [...buildArgs]
      .filter(([name]) => isProxyName(name))
      .map(([name, value]) => `${name}=${value}`),
    allow: readAllowed(options),
    limits: readLimits(options),
  }
}

const proxyNames = new Set(['http_proxy', 'https_proxy', 'ftp_proxy', 'no_proxy', 'all_proxy'])

/** Names that reach RUN without being declared, in lower or upper case. */
export function isProxyName(name: string): boolean {
  const lower = name.toLowerCase()
  return proxyNames.has(lower) && (name === lower || name === name.toUpperCase())
}

const maxSecretBytes = 500 * 1024

/** `id=ID[,src=FILE|,env=NAME][,type=file|env]`. @throws USAGE, FILE_NOT_FOUND */
export function readSecrets(
  texts: readonly string[],
  environment: Environment,
): ReadonlyMap<string, SecretSource> {
  const secrets = new Map<string, SecretSource>()
  for (const text of texts.filter(Boolean)) {
    const fields = readFields('--secret', text)
    const type = fields.take('type')
    if (type !== undefined && type !== 'file' && type !== 'env')
      throw badValue('--secret', text, `unsupported secret type "${type}"`)
    const source = fields.take('source') ?? fields.take('src')
    const variable = fields.take('env')
    const id = fields.take('id') ?? (source === undefined ? '' : path.basename(source))
    fields.end()
    if (id === '') throw badValue('--secret', text, 'say its name with id=NAME')
    const inVariable = variable ?? (type === 'env' ? source : undefined)
    secrets.set(id, secretOf({ id, variable: inVariable, file: source }, environment))
  }
  return secrets
}

interface SecretWords {
  readonly id: string
  readonly variable: string | undefined
  readonly file: string | undefined
}

/** Where only the name is said it is that of a variable, or else of a file. */
function secretOf({ id, variable, file }: SecretWords, environment: Environment): SecretSource {
  if (variable !== undefined) return { kind: 'variable', name: variable }
  if (file === undefined && environment[id] !== undefined) return { kind: 'variable', name: id }
  const found = path.resolve(file ?? id)
  const stats = statSync(found, { throwIfNoEntry: false })
  if (stats === undefined)
    throw new KauriError('FILE_NOT_FOUND', `failed to stat ${found}: no such file or directory`, {
      hint: `the secret ${id} is read from there; name another file with src=FILE`,
    })
  if (stats.size > maxSecretBytes)
    throw new KauriError('USAGE', `invalid secret size ${stats.size}`, {
      hint: `${found} is larger than ${maxSecretBytes} bytes`,
    })
  return { kind: 'file', path: found }
}

/** `default`, `ID=SOCKET`, `ID=KEY,KEY`. @throws USAGE, FILE_NOT_FOUND */
export function readSsh(
  texts: readonly string[],
  environment: Environment,
): ReadonlyMap<string, SshSource> {
  return new Map(
    texts.filter(Boolean).map((text): [string, SshSource] => {
      const equals = text.indexOf('=')
      const id = equals < 0 ? text : text.slice(0, equals)
      const paths =
        equals < 0
          ? []
          : text
              .slice(equals + 1)
              .split(',')
              .filter(Boolean)
      return [id === '' ? 'default' : id, sshOf(text, paths, environment)]
    }),
  )
}

function sshOf(text: string, paths: readonly string[], environment: Environment): SshSource {
  const agent = environment['SSH_AUTH_SOCK']
  const wanted = paths.length > 0 ? paths : agent === undefined || agent === '' ? [] : [agent]
  if (wanted.length === 0)
    throw badValue(
      '--ssh',
      text,
      'invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set, or name a key',
    )
  const files = wanted.map(file => path.resolve(file))
  const missing = files.find(file => !existsSync(file))
  if (missing !== undefined)
    throw new KauriError('FILE_NOT_FOUND', `there is no socket or key ${missing} for --ssh`)
  const sockets = files.filter(file => statSync(file).isSocket())
  const [socket] = sockets
  if (socket === undefined) return { kind: 'keys', paths: files }
  if (files.length === 1) return { kind: 'agent', socket }
  throw badValue('--ssh', text, 'name one socket, or keys')
}

const allowable = ['network.host', 'security.insecure'] as const

function readAllowed(options: ParsedOptions): ReadonlySet<(typeof allowable)[number]> {
  const allowed = options.texts('allow').map(text => {
    const known = allowable.find(one => one === text)
    if (known !== undefined) return known
    throw badValue('--allow', text, `write ${allowable.join(' or ')}`)
  })
  // Who chooses the host's network for all steps has allowed it for each.
  return new Set([...allowed, ...(options.text('network') === 'host' ? [allowable[0]] : [])])
}

function readLimits(options: ParsedOptions): RunLimits {
  const shmSize = options.text('shm-size')
  return {
    extraHosts: options
      .texts('add-host')
      .flatMap(text => text.split(','))
      .map(readHost),
    ...(shmSize === undefined ? {} : { shmSizeBytes: parseBytes('--shm-size', shmSize) }),
    rlimits: options.texts('ulimit').map(text => parseUlimit('--ulimit', text)),
    resources: withQuota(options, readResources(onlyKnown(options))),
  }
}

/** `NAME:ADDRESS` or `NAME=ADDRESS`; `host-gateway` is where the host is on the network of the step. */
function readHost(text: string): string {
  const [, name = '', address = ''] = /^([^\s:=]+)[:=]\[?([^\s\]]+)\]?$/.exec(text) ?? []
  if (address === 'host-gateway' || isIP(address) > 0) return `${name}:${address}`
  throw badValue('--add-host', text, 'write NAME:ADDRESS with an IP address')
}

/** The limits that `run` has, too; its others are not set. */
const sharedLimits = new Set([
  'memory',
  'memory-swap',
  'cpus',
  'cpu-shares',
  'cpuset-cpus',
  'cpuset-mems',
])

function onlyKnown(options: ParsedOptions): ParsedOptions {
  return {
    ...options,
    flag: () => false,
    text: long => (sharedLimits.has(long) ? options.text(long) : undefined),
    texts: () => [],
  }
}

type Limits = NonNullable<RunLimits['resources']>

/** --cpu-period and --cpu-quota say in two numbers what --cpus says in one. */
function withQuota(options: ParsedOptions, resources: Limits): Limits {
  const period = options.text('cpu-period')
  const quota = options.text('cpu-quota')
  if (period === undefined && quota === undefined) return resources
  if (options.text('cpus') !== undefined)
    throw new KauriError('USAGE', '--cpus is --cpu-quota and --cpu-period in one number', {
      hint: 'give one or the other',
    })
  const most = 1_000_000
  const cpu = {
    ...resources.cpu,
    ...(period === undefined
      ? {}
      : { period: parseInteger('--cpu-period', period, { min: 1000, max: most }) }),
    ...(quota === undefined
      ? {}
      : {
          quota: parseInteger('--cpu-quota', quota, {
            min: 1000,
            max: availableParallelism() * most,
          }),
        }),
  }
  return { ...resources, cpu }
}

// Options of `run` and `create` that say how a container lives: what ends it, what starts it again, how its health is
// asked for, where its output goes.

import type { ContainerSpec, LogRequest } from '../container/container.ts'
import { noRestart, parseRestartPolicy } from '../container/restart-policy.ts'
import { KauriError } from '../core/errors.ts'
import type { Healthcheck } from '../oci/image-config.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'
import { badValue, parseBytes, parseInteger, parseKeyValues } from './option-values.ts'

export const lifeOptions: readonly OptionSpec[] = [
  {
    long: 'annotation',
    value: 'KEY=VALUE',
    repeat: true,
    summary: 'Set an annotation of the runtime configuration',
  },
  { long: 'health-cmd', value: 'COMMAND', summary: 'Ask for the health with this command' },
  {
    long: 'health-interval',
    value: 'DURATION',
    summary: 'Time between two checks, 30s by default',
  },
  { long: 'health-retries', value: 'N', summary: 'Failures in a row that make it unhealthy' },
  {
    long: 'health-start-interval',
    value: 'DURATION',
    summary: 'Time between two checks while the container starts',
  },
  {
    long: 'health-start-period',
    value: 'DURATION',
    summary: 'Time to start in which failures do not count',
  },
  { long: 'health-timeout', value: 'DURATION', summary: 'Time that one check may take' },
  { long: 'init', summary: 'Run an init that reaps processes and passes signals on' },
  {
    long: 'log-driver',
    value: 'DRIVER',
    choices: ['json-file', 'local', 'none'],
    summary: 'How the output is kept, json-file by default',
  },
  {
    long: 'log-opt',
    value: 'KEY=VALUE',
    repeat: true,
    summary: 'max-size, max-file, labels, env, tag of the log',
  },
  { long: 'no-healthcheck', summary: "Leave the image's HEALTHCHECK out" },
  {
    long: 'restart',
    value: 'POLICY',
    summary: 'Start it again when it ends: no, on-failure[:N], always, unless-stopped',
  },
  { long: 'stop-signal', value: 'SIGNAL', summary: 'Signal that stops the container' },
  { long: 'stop-timeout', value: 'SECONDS', summary: 'Time to stop before it is killed; -1: any' },
]

type Life = Pick<
  ContainerSpec,
  | 'annotations'
  | 'healthcheck'
  | 'init'
  | 'log'
  | 'restart'
  | 'stopSignal'
  | 'stopTimeoutSeconds'
  | 'removeAfter'
>

/** @throws USAGE */
export async function readLife(options: ParsedOptions): Promise<Life> {
  const restart = options.text('restart')
  const policy = restart === undefined ? noRestart : parseRestartPolicy(restart)
  const removeAfter = options.flag('rm')
  if (removeAfter && policy.name !== 'no')
    throw new KauriError('USAGE', 'conflicting options: cannot specify both --restart and --rm')
  const timeout = options.text('stop-timeout')
  return {
    annotations: parseKeyValues('--annotation', options.texts('annotation')),
    healthcheck: await readHealthcheck(options),
    init: options.flag('init'),
    log: readLog(options),
    restart: policy,
    removeAfter,
    stopSignal: await readSignal('--stop-signal', options.text('stop-signal')),
    stopTimeoutSeconds:
      timeout === undefined
        ? undefined
        : parseInteger('--stop-timeout', timeout, { min: -1, max: 2 ** 31 }),
  }
}

/** @throws USAGE for what is no signal */
export async function readSignal(
  option: string,
  text: string | undefined,
): Promise<string | undefined> {
  if (text === undefined) return undefined
  const { signalNumber } = await import('../container/stop-signal.ts')
  if (signalNumber(text) !== undefined) return text
  throw badValue(option, text, 'write a name such as SIGTERM, or a number')
}

/** How `stop` and `restart` are to end a container; what is not said is the container's own. @throws USAGE */
export async function readStop(options: ParsedOptions): Promise<{
  readonly signal: string | undefined
  readonly timeoutSeconds: number | undefined
}> {
  const timeout = options.text('time') ?? options.text('timeout')
  return {
    signal: await readSignal('--signal', options.text('signal')),
    timeoutSeconds:
      timeout === undefined
        ? undefined
        : parseInteger('--time', timeout, { min: -1, max: 2 ** 31 }),
  }
}

const healthOptions = ['cmd', 'interval', 'retries', 'start-interval', 'start-period', 'timeout']

async function readHealthcheck(options: ParsedOptions): Promise<Partial<Healthcheck> | undefined> {
  const given = healthOptions.filter(name => options.text(`health-${name}`) !== undefined)
  if (options.flag('no-healthcheck')) {
    if (given.length === 0) return { Test: ['NONE'] }
    throw new KauriError('USAGE', '--no-healthcheck conflicts with --health-* options')
  }
  if (given.length === 0) return undefined
  const { durationNanoseconds } = await import('./duration.ts')
  const duration = (name: string): number | undefined => {
    const text = options.text(`health-${name}`)
    const nanoseconds =
      text === undefined ? 0 : durationNanoseconds(`--health-${name}`, text, { least: 1_000_000 })
    return nanoseconds === 0 ? undefined : nanoseconds
  }
  const command = options.text('health-cmd')
  const retries = options.text('health-retries')
  const all = {
    Test: command === undefined ? undefined : ['CMD-SHELL', command],
    Interval: duration('interval'),
    Timeout: duration('timeout'),
    StartPeriod: duration('start-period'),
    StartInterval: duration('start-interval'),
    Retries:
      retries === undefined
        ? undefined
        : parseInteger('--health-retries', retries, { min: 0, max: 1_000_000 }) || undefined,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

/** What each driver can be told. */
const logKeys: Readonly<Record<LogRequest['driver'], readonly string[]>> = {
  'json-file': ['max-size', 'max-file', 'labels', 'env', 'tag'],
  local: ['max-size', 'max-file'],
  none: [],
}

function readLog(options: ParsedOptions): LogRequest {
  const text = options.text('log-driver')
  const driver = text === 'local' || text === 'none' ? text : 'json-file'
  const given = parseKeyValues('--log-opt', options.texts('log-opt'))
  for (const [key, value] of Object.entries(given)) {
    if (!logKeys[driver].includes(key))
      throw badValue(
        '--log-opt',
        key,
        `the driver ${driver} has ${logKeys[driver].join(', ') || 'no options'}`,
      )
    if (key === 'max-size') parseBytes('--log-opt max-size', value)
    if (key === 'max-file') parseInteger('--log-opt max-file', value, { min: 1, max: maxLogFiles })
  }
  if (driver === 'json-file' && given['max-file'] !== undefined && given['max-size'] === undefined)
    throw new KauriError('USAGE', 'max-file cannot be set without max-size')
  return { driver, options: given }
}

const maxLogFiles = 1000

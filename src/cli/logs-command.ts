// What `kauri logs` does: each stream of the container goes to the same of ours.

import type { StoredRequest } from '../container/container.ts'
import { getRequest } from '../container/container-records.ts'
import { formatTime, type LogEntry } from '../container/log-format.ts'
import { logOf } from '../container/log-place.ts'
import { readLog } from '../container/read-log.ts'
import { KauriError } from '../core/errors.ts'
import type { CommandInput } from './command.ts'
import { openContainers } from './container-host.ts'
import { momentNanoseconds } from './duration.ts'
import { parseInteger } from './option-values.ts'
import { type OutputQueue, outputQueue } from './output-queue.ts'

/** Ends with the log, or, with -f, with the container. */
export async function logsCommand({
  options,
  positionals: [name = ''],
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const { root } = containers
  const state = containers.get(name)
  const request = getRequest(root, state)
  const place = logOf(`${root}/${state.id}`, request.spec.log)
  if (place === undefined)
    throw new KauriError(
      'UNSUPPORTED',
      'configured logging driver does not support reading: the container was made with --log-driver none',
    )
  const nowMs = Date.now()
  const moment = (option: string): bigint | undefined => {
    const text = options.text(option)
    return text === undefined ? undefined : momentNanoseconds(`--${option}`, text, nowMs)
  }
  const isUp = (): boolean => {
    const now = containers.list().find(({ id }) => id === state.id)
    return now?.status === 'running' || now?.status === 'paused'
  }
  await context.endProgress()
  const queues = { stdout: outputQueue(1), stderr: outputQueue(2) }
  const prefix = prefixer(options.flag('timestamps'), options.flag('details'), request)
  try {
    for await (const entry of readLog(place, {
      since: moment('since'),
      until: moment('until'),
      tail: tailOf(options.text('tail')),
      isRunning: options.flag('follow') ? isUp : undefined,
      signal: context.signal,
    }))
      await show(entry, queues, prefix)
  } catch (error) {
    // Who follows stops it when enough was seen.
    if (!context.signal.aborted) throw error
  }
  await Promise.all([queues.stdout.drained(), queues.stderr.drained()])
  return 0
}

function tailOf(text: string | undefined): number | undefined {
  if (text === undefined || text === 'all' || text === '-1') return undefined
  return parseInteger('--tail', text, { min: 0, max: 2 ** 31 })
}

type Prefix = (entry: LogEntry) => string

function prefixer(
  showsTime: boolean,
  showsDetails: boolean,
  request: StoredRequest,
): Prefix | undefined {
  if (!showsTime && !showsDetails) return undefined
  const details = showsDetails ? `${detailsOf(request)} ` : ''
  return ({ time }) => `${showsTime ? `${formatTime(time)} ` : ''}${details}`
}

/** `KEY=VALUE` of the labels and variables that --log-opt names, in the order of their keys. */
function detailsOf({ spec }: StoredRequest): string {
  const { labels = '', env = '' } = spec.log.options
  const variables = new Map(
    spec.environment.map(entry => [
      entry.split('=', 1)[0] ?? '',
      entry.split('=').slice(1).join('='),
    ]),
  )
  const found = [
    ...labels.split(',').flatMap(key => pair(key, spec.labels[key])),
    ...env.split(',').flatMap(key => pair(key, variables.get(key))),
  ]
  return found.toSorted().join(',')
}

function pair(key: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [`${encodeURIComponent(key)}=${encodeURIComponent(value)}`]
}

async function show(
  entry: LogEntry,
  queues: Readonly<Record<LogEntry['stream'], OutputQueue>>,
  prefix: Prefix | undefined,
): Promise<void> {
  const { stream, text } = entry
  const line = prefix === undefined ? text : Buffer.concat([Buffer.from(prefix(entry)), text])
  await queues[stream].push(line)
}

// Limits of memory, processors and processes, by docker's rules.

import { readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { KauriError } from '../core/errors.ts'
import type { Resources } from '../oci/runtime-config.ts'
import type { OptionSpec, ParsedOptions } from './command.ts'
import { badValue, parseBytes, parseCpuList, parseCpus, parseInteger } from './option-values.ts'

/** Options of `run`, `create` and, but for a few, `update`. */
export const limitOptions: readonly OptionSpec[] = [
  { long: 'blkio-weight', value: 'N', summary: 'Weight of block I/O, 10 to 1000; 0: none' },
  {
    long: 'blkio-weight-device',
    value: 'DEVICE:N',
    repeat: true,
    summary: 'Weight of block I/O on one device',
  },
  { long: 'cpu-period', value: 'MICROSECONDS', summary: 'Period of the CPU quota' },
  { long: 'cpu-quota', value: 'MICROSECONDS', summary: 'CPU time in each period' },
  { long: 'cpu-rt-period', value: 'MICROSECONDS', summary: 'Period of real-time CPU time' },
  { long: 'cpu-rt-runtime', value: 'MICROSECONDS', summary: 'Real-time CPU time in each period' },
  {
    long: 'cpu-shares',
    short: 'c',
    value: 'N',
    summary: 'Weight of the CPU share, 1024 by default',
  },
  { long: 'cpus', value: 'N', summary: 'Number of processors, such as 1.5' },
  { long: 'cpuset-cpus', value: 'LIST', summary: 'Processors to run on, such as 0-2,4' },
  { long: 'cpuset-mems', value: 'LIST', summary: 'Memory nodes to use' },
  ...(['read-bps', 'read-iops', 'write-bps', 'write-iops'] as const).map(
    (what): OptionSpec => ({
      long: `device-${what}`,
      value: 'DEVICE:N',
      repeat: true,
      summary: `Limit ${what.endsWith('bps') ? 'bytes' : 'operations'} ${what.startsWith('read') ? 'read from' : 'written to'} a device in a second`,
    }),
  ),
  { long: 'kernel-memory', value: 'BYTES', summary: 'Refused: kernels limit it no more' },
  { long: 'memory', short: 'm', value: 'BYTES', summary: 'Limit memory, such as 64m' },
  { long: 'memory-reservation', value: 'BYTES', summary: 'Soft limit of memory' },
  { long: 'memory-swap', value: 'BYTES', summary: 'Limit memory and swap together; -1: no limit' },
  {
    long: 'memory-swappiness',
    value: 'N',
    summary: 'How readily memory is swapped out, 0 to 100; -1: as the host',
  },
  { long: 'oom-kill-disable', summary: 'Let processes wait for memory, instead of killing one' },
  { long: 'pids-limit', value: 'N', summary: 'Limit processes and threads; -1: no limit' },
]

/** What -m, --cpus and their like ask for. @throws USAGE */
export function readResources(options: ParsedOptions): Omit<Resources, 'devices'> {
  if (options.text('kernel-memory') !== undefined)
    throw new KauriError('UNSUPPORTED', 'kernels have no limit of kernel memory any more', {
      hint: '--memory counts it, too',
    })
  const memory = readMemory(options)
  const cpu = readProcessors(options)
  const blockIO = readBlockIo(options)
  const pids = options.text('pids-limit')
  const limit =
    pids === undefined ? 0 : parseInteger('--pids-limit', pids, { min: -1, max: 4_194_304 })
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(blockIO === undefined ? {} : { blockIO }),
    ...(limit === 0 ? {} : { pids: { limit } }),
  }
}

/** Below that no process starts; docker has the same bound. */
const minMemoryBytes = 6 * 1024 * 1024

function readMemory(options: ParsedOptions): Resources['memory'] {
  const limit = readBytes(options, 'memory')
  if (limit !== undefined && limit < minMemoryBytes)
    throw badValue('--memory', options.text('memory') ?? '', 'the least is 6m')
  const disableOOMKiller = options.flag('oom-kill-disable') || undefined
  if (disableOOMKiller && limit === undefined)
    throw new KauriError('USAGE', '--oom-kill-disable without --memory would stop the machine')
  const all = {
    limit,
    reservation: readReservation(options, limit),
    swap: readSwap(options, limit),
    swappiness: readSwappiness(options),
    disableOOMKiller,
  }
  const given = Object.entries(all).filter(([, value]) => value !== undefined)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

function readReservation(options: ParsedOptions, limit: number | undefined): number | undefined {
  const reservation = readBytes(options, 'memory-reservation')
  if (reservation === undefined || reservation <= (limit ?? reservation)) return reservation
  throw badValue(
    '--memory-reservation',
    options.text('memory-reservation') ?? '',
    'it is at most --memory',
  )
}

function readSwappiness(options: ParsedOptions): number | undefined {
  const text = options.text('memory-swappiness')
  if (text === undefined || text === '-1') return undefined
  return parseInteger('--memory-swappiness', text, { min: 0, max: 100 })
}

/** Memory and swap together; twice the memory where nothing is said. */
function readSwap(options: ParsedOptions, limit: number | undefined): number | undefined {
  const text = options.text('memory-swap') ?? '0'
  const swap = text === '-1' ? -1 : readBytes(options, 'memory-swap')
  if (swap === undefined) return limit !== undefined && hasSwap() ? limit * 2 : undefined
  if (limit === undefined) throw badValue('--memory-swap', text, 'limit memory, too, with -m')
  if (swap >= 0 && swap < limit)
    throw badValue('--memory-swap', text, 'it counts memory and swap, so it is at least --memory')
  return swap
}

/** Zero is as good as nothing said. */
function readBytes(options: ParsedOptions, name: string): number | undefined {
  const text = options.text(name)
  if (text === undefined || text === '-1') return undefined
  return parseBytes(`--${name}`, text) || undefined
}

/** Docker lets a container have as much swap as memory; where the machine has none there is nothing to limit. */
function hasSwap(): boolean {
  return readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1
}

const periodMicroseconds = 100_000

function readProcessors(options: ParsedOptions): Resources['cpu'] {
  const cpus = options.text('cpus')
  const number = (name: string, min: number, max: number): number | undefined => {
    const text = options.text(name)
    // Zero is as good as nothing said.
    return text === undefined
      ? undefined
      : parseInteger(`--${name}`, text, { min, max }) || undefined
  }
  const quota = number('cpu-quota', -1, 2 ** 40)
  const period = number('cpu-period', 0, 1_000_000)
  if (cpus !== undefined && (quota !== undefined || period !== undefined))
    throw new KauriError('USAGE', 'conflicting options: --cpus and --cpu-period or --cpu-quota')
  if ((period !== undefined && period < 1000) || (quota !== undefined && quota > 0 && quota < 1000))
    throw new KauriError('USAGE', 'a CPU period or quota is at least 1000 microseconds')
  const processors = options.text('cpuset-cpus')
  const nodes = options.text('cpuset-mems')
  const all = {
    quota: cpus === undefined ? quota : parseCpus('--cpus', cpus, availableParallelism()),
    period: cpus === undefined ? period : periodMicroseconds,
    shares: number('cpu-shares', 0, 262_144),
    realtimePeriod: number('cpu-rt-period', 0, 2 ** 40),
    realtimeRuntime: number('cpu-rt-runtime', 0, 2 ** 40),
    cpus: processors === undefined ? undefined : parseCpuList('--cpuset-cpus', processors),
    mems: nodes === undefined ? undefined : parseCpuList('--cpuset-mems', nodes),
  }
  const given = Object.entries(all).filter(([, value]) => value !== undefined)
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

function readBlockIo(options: ParsedOptions): Resources['blockIO'] {
  const weight = options.text('blkio-weight')
  const devices = (name: string, parse: (text: string) => number): readonly BlockLimit[] =>
    options.texts(name).map(text => blockLimit(`--${name}`, text, parse))
  const all = {
    weight:
      weight === undefined || weight === '0'
        ? undefined
        : parseInteger('--blkio-weight', weight, { min: 10, max: 1000 }),
    weightDevice: devices('blkio-weight-device', text =>
      parseInteger('--blkio-weight-device', text, { min: 10, max: 1000 }),
    ).map(({ rate, ...device }) => ({ ...device, weight: rate })),
    throttleReadBpsDevice: devices('device-read-bps', text =>
      parseBytes('--device-read-bps', text),
    ),
    throttleWriteBpsDevice: devices('device-write-bps', text =>
      parseBytes('--device-write-bps', text),
    ),
    throttleReadIOPSDevice: devices('device-read-iops', text =>
      parseInteger('--device-read-iops', text, { min: 1, max: 2 ** 40 }),
    ),
    throttleWriteIOPSDevice: devices('device-write-iops', text =>
      parseInteger('--device-write-iops', text, { min: 1, max: 2 ** 40 }),
    ),
  }
  const given = Object.entries(all).filter(([, value]) =>
    Array.isArray(value) ? value.length > 0 : value !== undefined,
  )
  return given.length === 0 ? undefined : Object.fromEntries(given)
}

interface BlockLimit {
  readonly major: number
  readonly minor: number
  readonly rate: number
}

/** `/dev/sda:10m`. */
function blockLimit(option: string, text: string, parse: (text: string) => number): BlockLimit {
  const colon = text.lastIndexOf(':')
  const [device, value] = [text.slice(0, colon), text.slice(colon + 1)]
  const stats = device.startsWith('/dev/') ? statSync(device, { throwIfNoEntry: false }) : undefined
  if (stats === undefined || !stats.isBlockDevice())
    throw badValue(option, text, 'write a block device and a number, such as /dev/sda:10m')
  const { rdev } = stats
  return {
    major: (rdev >>> 8) & 0xfff,
    minor: (rdev & 0xff) | ((rdev >>> 12) & 0xfff00),
    rate: parse(value),
  }
}

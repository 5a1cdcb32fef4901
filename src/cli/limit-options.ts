// Limits of memory, processors and processes, by docker's rules.

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Resources } from '../oci/runtime-config.ts'
import type { ParsedOptions } from './command.ts'
import { badValue, parseBytes, parseCpuList, parseCpus, parseInteger } from './option-values.ts'

/** What -m, --cpus and their like ask for. @throws USAGE */
export function readResources(options: ParsedOptions): Omit<Resources, 'devices'> {
  const memory = readMemory(options)
  const cpu = readProcessors(options)
  const pids = options.text('pids-limit')
  const limit =
    pids === undefined ? 0 : parseInteger('--pids-limit', pids, { min: -1, max: 4_194_304 })
  return {
    ...(memory === undefined ? {} : { memory }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(limit === 0 ? {} : { pids: { limit } }),
  }
}

/** Below that no process starts; docker has the same bound. */
const minMemoryBytes = 6 * 1024 * 1024

function readMemory(options: ParsedOptions): Resources['memory'] {
  const limit = readBytes(options, 'memory')
  const reservation = readBytes(options, 'memory-reservation')
  const swap = readSwap(options, limit)
  if (limit !== undefined && limit < minMemoryBytes)
    throw badValue('--memory', options.text('memory') ?? '', 'the least is 6m')
  if (reservation !== undefined && reservation > (limit ?? reservation))
    throw badValue(
      '--memory-reservation',
      options.text('memory-reservation') ?? '',
      'it is at most --memory',
    )
  if (limit === undefined && reservation === undefined) return undefined
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(reservation === undefined ? {} : { reservation }),
    ...(swap === undefined ? {} : { swap }),
  }
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
  const shares = options.text('cpu-shares')
  const processors = options.text('cpuset-cpus')
  const nodes = options.text('cpuset-mems')
  const cpu = {
    ...(cpus === undefined
      ? {}
      : { quota: parseCpus('--cpus', cpus, availableParallelism()), period: periodMicroseconds }),
    ...(shares === undefined
      ? {}
      : { shares: parseInteger('--cpu-shares', shares, { min: 2, max: 262_144 }) }),
    ...(processors === undefined ? {} : { cpus: parseCpuList('--cpuset-cpus', processors) }),
    ...(nodes === undefined ? {} : { mems: parseCpuList('--cpuset-mems', nodes) }),
  }
  return Object.keys(cpu).length === 0 ? undefined : cpu
}

// What a container has used up to now, read from its cgroups. What no controller here counts is undefined.

import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import path from 'node:path'
import { readTextSync } from '../core/text-file.ts'

/** Cumulative where not said otherwise. */
export interface ContainerStats {
  readonly cpuNanoseconds: number
  /** Of the whole machine, as /proc/stat counts it. */
  readonly systemNanoseconds: number
  readonly onlineCpus: number
  /** Now, without what the kernel would give back first (inactive files), as docker shows it. */
  readonly memoryBytes: number
  /** The container's limit, or all that the machine has. */
  readonly memoryLimitBytes: number
  /** Now. */
  readonly processes: number
  readonly blockReadBytes: number
  readonly blockWriteBytes: number
  /** Undefined where the container has no interface of its own. */
  readonly networkReceivedBytes?: number
  readonly networkSentBytes?: number
}

/** Reads the cgroups, and the interfaces that the process `pid` sees. */
export function readContainerStats(directories: readonly string[], pid: number): ContainerStats {
  const find = finderIn(directories)
  return {
    cpuNanoseconds: cpuNanoseconds(find),
    systemNanoseconds: systemNanoseconds(),
    onlineCpus: cpus().length,
    ...memory(find),
    processes: numberOf(find('pids.current')) ?? 0,
    ...blockTraffic(find),
    ...networkTraffic(pid),
  }
}

/** The text of a file of that name in the first cgroup that has it. */
type Find = (name: string) => string | undefined

function finderIn(directories: readonly string[]): Find {
  return name => {
    for (const directory of directories) {
      const text = readTextSync(path.join(directory, name))
      if (text !== undefined) return text
    }
    return undefined
  }
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text.trim())
  return Number.isFinite(number) ? number : undefined
}

/** The number behind a name at the beginning of a line. */
function field(text: string | undefined, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)$`, 'm').exec(text ?? '')?.[1]
  return found === undefined ? undefined : Number(found)
}

function cpuNanoseconds(find: Find): number {
  const version1 = numberOf(find('cpuacct.usage'))
  if (version1 !== undefined) return version1
  return (field(find('cpu.stat'), 'usage_usec') ?? 0) * 1000
}

const nanosecondsPerTick = 10_000_000

/** First seven numbers of the first line; what comes behind is part of them. */
function systemNanoseconds(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  return ticks.reduce((sum, count) => sum + count, 0) * nanosecondsPerTick
}

function memory(find: Find): Pick<ContainerStats, 'memoryBytes' | 'memoryLimitBytes'> {
  const stat = find('memory.stat')
  const used = numberOf(find('memory.usage_in_bytes')) ?? numberOf(find('memory.current')) ?? 0
  const inactive = field(stat, 'total_inactive_file') ?? field(stat, 'inactive_file') ?? 0
  const limit = numberOf(find('memory.limit_in_bytes')) ?? numberOf(find('memory.max'))
  return {
    memoryBytes: Math.max(0, used - inactive),
    memoryLimitBytes: Math.min(limit ?? Infinity, totalmem()),
  }
}

function blockTraffic(find: Find): Pick<ContainerStats, 'blockReadBytes' | 'blockWriteBytes'> {
  const version1 =
    find('blkio.throttle.io_service_bytes_recursive') ?? find('blkio.throttle.io_service_bytes')
  if (version1 !== undefined)
    return {
      blockReadBytes: sumOf(version1, /^\S+ Read (\d+)$/gm),
      blockWriteBytes: sumOf(version1, /^\S+ Write (\d+)$/gm),
    }
  const version2 = find('io.stat') ?? ''
  return {
    blockReadBytes: sumOf(version2, /\brbytes=(\d+)/g),
    blockWriteBytes: sumOf(version2, /\bwbytes=(\d+)/g),
  }
}

function sumOf(text: string, pattern: RegExp): number {
  return [...text.matchAll(pattern)].reduce((sum, [, number]) => sum + Number(number), 0)
}

/** All interfaces but the loopback, in the network namespace of that process. */
function networkTraffic(
  pid: number,
): Pick<ContainerStats, 'networkReceivedBytes' | 'networkSentBytes'> {
  const lines = (readTextSync(`/proc/${pid}/net/dev`) ?? '').split('\n').slice(2)
  const interfaces = lines.flatMap(line => {
    const [name = '', numbers] = line.split(':')
    if (numbers === undefined || name.trim() === 'lo') return []
    return [numbers.trim().split(/\s+/).map(Number)]
  })
  if (interfaces.length === 0) return {}
  const sum = (column: number): number =>
    interfaces.reduce((total, numbers) => total + (numbers[column] ?? 0), 0)
  return { networkReceivedBytes: sum(0), networkSentBytes: sum(8) }
}

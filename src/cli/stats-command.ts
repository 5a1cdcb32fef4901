// What `kauri stats` does: shares of a second, and sums since the start, in docker's columns.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerState } from '../container/container.ts'
import type { ContainerStats } from '../runtime/cgroup-stats.ts'
import type { CommandContext, CommandInput } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { isUp } from './container-rows.ts'
import { binarySize, humanSize } from './human-units.ts'
import { type Listing, listingLines } from './listing.ts'

const headings: Listing['headings'] = {
  ID: 'CONTAINER ID',
  Container: 'CONTAINER',
  Name: 'NAME',
  CPUPerc: 'CPU %',
  MemUsage: 'MEM USAGE / LIMIT',
  MemPerc: 'MEM %',
  NetIO: 'NET I/O',
  BlockIO: 'BLOCK I/O',
  PIDs: 'PIDS',
}

const columns = ['ID', 'Name', 'CPUPerc', 'MemUsage', 'MemPerc', 'NetIO', 'BlockIO', 'PIDs']

const intervalMs = 1000

/** Until it is stopped, or once. */
export async function statsCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const isOnce = options.flag('no-stream')
  const format = options.text('format')
  const find = (): ContainerState[] =>
    positionals.length > 0
      ? positionals.map(name => containers.get(name))
      : containers.list().filter(state => options.flag('all') || isUp(state))
  const isLive = !isOnce && !context.json && format === undefined
  let before = readAll(find(), containers)
  for (;;) {
    if (!(await pause(context))) return 0
    const now = readAll(find(), containers)
    const isWhole = options.flag('no-trunc')
    const rows = now.map(sample =>
      rowOf(
        sample,
        before.find(({ state }) => state.id === sample.state.id),
        isWhole,
      ),
    )
    const lines = await listingLines({ headings, columns, rows }, format)
    if (isLive && process.stdout.isTTY) process.stdout.write(clearScreen)
    for (const line of lines) context.print(line)
    if (isOnce || context.json) {
      context.printJson(rows)
      return 0
    }
    before = now
  }
}

const clearScreen = '\u001b[2J\u001b[H'

async function pause({ signal }: CommandContext): Promise<boolean> {
  try {
    await sleep(intervalMs, undefined, { signal })
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}

interface Sample {
  readonly state: ContainerState
  /** Undefined where it does not run. */
  readonly stats: ContainerStats | undefined
}

function readAll(states: readonly ContainerState[], { host }: Containers): Sample[] {
  return states.map(state => {
    try {
      return { state, stats: isUp(state) ? host.runtime.stats(state.id) : undefined }
    } catch {
      // It has just ended.
      return { state, stats: undefined }
    }
  })
}

function rowOf(
  { state, stats }: Sample,
  before: Sample | undefined,
  isWhole: boolean,
): Listing['rows'][number] {
  const id = isWhole ? state.id : state.id.slice(0, 12)
  const names = { ID: id, Container: id, Name: state.name }
  if (stats === undefined)
    return {
      ...names,
      CPUPerc: '--',
      MemUsage: '-- / --',
      MemPerc: '--',
      NetIO: '--',
      BlockIO: '--',
      PIDs: '--',
    }
  const { memoryBytes, memoryLimitBytes } = stats
  const { networkReceivedBytes = 0, networkSentBytes = 0 } = stats
  return {
    ...names,
    CPUPerc: percent(cpuShare(stats, before?.stats)),
    MemUsage: `${binarySize(memoryBytes)} / ${binarySize(memoryLimitBytes)}`,
    MemPerc: percent(memoryLimitBytes === 0 ? 0 : memoryBytes / memoryLimitBytes),
    NetIO: `${humanSize(networkReceivedBytes)} / ${humanSize(networkSentBytes)}`,
    BlockIO: `${humanSize(stats.blockReadBytes)} / ${humanSize(stats.blockWriteBytes)}`,
    PIDs: String(stats.processes),
  }
}

/** 1 is one whole processor. */
function cpuShare(now: ContainerStats, before: ContainerStats | undefined): number {
  if (before === undefined) return 0
  const used = now.cpuNanoseconds - before.cpuNanoseconds
  const all = now.systemNanoseconds - before.systemNanoseconds
  return all > 0 && used > 0 ? (used / all) * now.onlineCpus : 0
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)}%`
}

// Limits as the controllers of cgroup version 1 take them (kernel Documentation/admin-guide/cgroup-v1).

import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Resources } from '../oci/runtime-config.ts'
import type { CgroupWrite } from './cgroup.ts'
import { version1BlockWrites } from './cgroup-block-io.ts'
import type { CgroupHierarchy } from './cgroup-layout.ts'
import { readNumber, refuseBelowUse } from './cgroup-use.ts'
import { formatDeviceRule } from './device-program.ts'

/** What to write, in order, into a new cgroup of this hierarchy. */
export function version1Writes(
  hierarchy: CgroupHierarchy,
  directory: string,
  resources: Resources,
): readonly CgroupWrite[] {
  const at = (file: string): string => path.join(directory, file)
  return hierarchy.controllers.flatMap(controller => {
    switch (controller) {
      case 'memory':
        return [...memoryCheck(resources, at), ...memoryWrites(resources, at)]
      case 'cpu':
        return cpuWrites(resources, at)
      case 'cpuset':
        return cpusetWrites(resources, hierarchy, directory)
      case 'pids':
        return pidsWrites(resources, at)
      case 'devices':
        return deviceWrites(resources, at)
      case 'blkio':
        return version1BlockWrites(resources, directory)
      case 'hugetlb':
        return hugepageWrites(resources, at)
      case 'net_cls':
      case 'net_prio':
        return networkWrites(controller, resources, at)
      case 'rdma':
        return rdmaWrites(resources, at)
      default:
        return []
    }
  })
}

type At = (file: string) => string

/** One value of the configuration, its file, and what people call it, with # for the value. */
type Setting = readonly [file: string, value: number | undefined, limit: string]

function settingWrites(settings: readonly Setting[], at: At): CgroupWrite[] {
  return settings.flatMap(([file, value, limit]) =>
    value === undefined
      ? []
      : [{ file: at(file), value: String(value), limit: limit.replace('#', String(value)) }],
  )
}

/** @throws LIMIT_UNAVAILABLE where more is in use than shall be allowed, and that was to be checked */
function memoryCheck({ memory = {} }: Resources, at: At): readonly CgroupWrite[] {
  if (memory.checkBeforeUpdate === true) refuseBelowUse(memory.limit, at('memory.usage_in_bytes'))
  return []
}

/**
 * The kernel keeps memory below memory plus swap at every moment: a limit that grows beyond the old sum needs the new sum
 * first, every other one the limit.
 */
function memoryWrites({ memory = {} }: Resources, at: At): CgroupWrite[] {
  const limit: Setting = ['memory.limit_in_bytes', memory.limit, 'a memory limit of # bytes']
  const swap: Setting = [
    'memory.memsw.limit_in_bytes',
    memory.swap,
    'a limit of # bytes for memory and swap',
  ]
  const growsBeyond = exceeds(memory.limit, at('memory.memsw.limit_in_bytes'))
  return [
    ...settingWrites(
      [
        ...(growsBeyond ? [swap, limit] : [limit, swap]),
        ['memory.soft_limit_in_bytes', memory.reservation, 'a memory reservation of # bytes'],
        ['memory.kmem.limit_in_bytes', memory.kernel, 'a limit of # bytes of kernel memory'],
        ['memory.kmem.tcp.limit_in_bytes', memory.kernelTCP, 'a limit of # bytes of TCP buffers'],
        ['memory.swappiness', memory.swappiness, 'a swappiness of #'],
      ],
      at,
    ),
    ...(memory.disableOOMKiller === true
      ? [{ file: at('memory.oom_control'), value: '1', limit: 'no killing for want of memory' }]
      : []),
  ]
}

function exceeds(limit: number | undefined, file: string): boolean {
  if (limit === undefined) return false
  const present = readNumber(file)
  return present !== undefined && (limit < 0 ? Infinity : limit) > present
}

function cpuWrites({ cpu = {} }: Resources, at: At): CgroupWrite[] {
  return settingWrites(
    [
      ['cpu.shares', cpu.shares, '# CPU shares'],
      ['cpu.cfs_period_us', cpu.period, 'a CPU period of # µs'],
      ['cpu.cfs_quota_us', cpu.quota, 'a CPU quota of # µs'],
      ['cpu.cfs_burst_us', cpu.burst, 'a CPU burst of # µs'],
      ['cpu.rt_period_us', cpu.realtimePeriod, 'a real-time period of # µs'],
      ['cpu.rt_runtime_us', cpu.realtimeRuntime, 'a real-time share of # µs'],
      ['cpu.idle', cpu.idle, 'idle CPU scheduling (#)'],
    ],
    at,
  )
}

/** A new cpuset is empty and takes no process, so the sets of the hierarchy's top go down level by level first. */
function cpusetWrites(
  { cpu = {} }: Resources,
  hierarchy: CgroupHierarchy,
  directory: string,
): CgroupWrite[] {
  const writes: CgroupWrite[] = []
  for (const [file, wanted] of [
    ['cpuset.cpus', cpu.cpus],
    ['cpuset.mems', cpu.mems],
  ] as const) {
    const { empty, inherited } = emptyAbove(directory, file, hierarchy)
    for (const ancestor of empty) writes.push({ file: ancestor, value: inherited })
    writes.push({
      file: path.join(directory, file),
      value: wanted ?? inherited,
      ...(wanted === undefined ? {} : { limit: `${file} ${wanted}` }),
    })
  }
  return writes
}

/** Files of the levels above that have nothing yet, topmost first, and what the lowest filled one has. */
function emptyAbove(
  directory: string,
  file: string,
  { mountPoint }: CgroupHierarchy,
): { readonly empty: readonly string[]; readonly inherited: string } {
  const empty: string[] = []
  for (let level = path.dirname(directory); ; level = path.dirname(level)) {
    const place = path.join(level, file)
    const value = readFileSync(place, 'utf8').trim()
    if (value !== '' || level === mountPoint || level === path.dirname(level))
      return { empty: empty.toReversed(), inherited: value }
    empty.push(place)
  }
}

function pidsWrites({ pids }: Resources, at: At): CgroupWrite[] {
  if (pids === undefined) return []
  const value = pids.limit > 0 ? String(pids.limit) : 'max'
  return [{ file: at('pids.max'), value, limit: `a limit of ${value} processes` }]
}

function deviceWrites({ devices = [] }: Resources, at: At): CgroupWrite[] {
  return devices.map(rule => ({
    file: at(rule.allow ? 'devices.allow' : 'devices.deny'),
    value: formatDeviceRule(rule),
  }))
}

function hugepageWrites({ hugepageLimits = [] }: Resources, at: At): CgroupWrite[] {
  return hugepageLimits.map(({ pageSize, limit }) => ({
    file: at(`hugetlb.${pageSize}.limit_in_bytes`),
    value: hugeLimit(limit),
    limit: `a limit of ${limit} bytes in pages of ${pageSize}`,
  }))
}

/** The kernel takes signed numbers of 63 bits; more is no limit. */
function hugeLimit(limit: number): string {
  return Number.isSafeInteger(limit) ? String(limit) : '9223372036854771712'
}

function networkWrites(
  controller: 'net_cls' | 'net_prio',
  { network = {} }: Resources,
  at: At,
): CgroupWrite[] {
  if (controller === 'net_cls')
    return settingWrites([['net_cls.classid', network.classID, 'the network class #']], at)
  return (network.priorities ?? []).map(({ name, priority }) => ({
    file: at('net_prio.ifpriomap'),
    value: `${name} ${priority}`,
    limit: `the priority ${priority} of ${name}`,
  }))
}

/** The same in both versions. */
export function rdmaWrites({ rdma = {} }: Resources, at: At): CgroupWrite[] {
  return Object.entries(rdma).map(([device, { hcaHandles, hcaObjects }]) => {
    const words = [
      ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
      ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
    ]
    return {
      file: at('rdma.max'),
      value: [device, ...words].join(' '),
      limit: `a limit of the RDMA device ${device}`,
    }
  })
}

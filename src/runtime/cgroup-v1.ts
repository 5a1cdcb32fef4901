// Limits as the controllers of cgroup version 1 take them (kernel Documentation/admin-guide/cgroup-v1).

import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Resources } from '../oci/runtime-config.ts'
import type { CgroupWrite } from './cgroup.ts'
import type { CgroupHierarchy } from './cgroup-layout.ts'
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
        return memoryWrites(resources, at)
      case 'cpu':
        return cpuWrites(resources, at)
      case 'cpuset':
        return cpusetWrites(resources, hierarchy, directory)
      case 'pids':
        return pidsWrites(resources, at)
      case 'devices':
        return deviceWrites(resources, at)
      default:
        return []
    }
  })
}

type At = (file: string) => string

/** The limit goes first: the kernel keeps memory below memory plus swap at every moment. */
function memoryWrites({ memory = {} }: Resources, at: At): CgroupWrite[] {
  const { limit, swap, reservation } = memory
  const writes: CgroupWrite[] = []
  if (limit !== undefined)
    writes.push({
      file: at('memory.limit_in_bytes'),
      value: String(limit),
      limit: `a memory limit of ${limit} bytes`,
    })
  if (swap !== undefined)
    writes.push({
      file: at('memory.memsw.limit_in_bytes'),
      value: String(swap),
      limit: `a limit of ${swap} bytes for memory and swap`,
    })
  if (reservation !== undefined)
    writes.push({
      file: at('memory.soft_limit_in_bytes'),
      value: String(reservation),
      limit: `a memory reservation of ${reservation} bytes`,
    })
  return writes
}

function cpuWrites({ cpu = {} }: Resources, at: At): CgroupWrite[] {
  const { shares, quota, period } = cpu
  const writes: CgroupWrite[] = []
  if (shares !== undefined)
    writes.push({ file: at('cpu.shares'), value: String(shares), limit: `${shares} CPU shares` })
  if (period !== undefined)
    writes.push({
      file: at('cpu.cfs_period_us'),
      value: String(period),
      limit: `a CPU period of ${period} µs`,
    })
  if (quota !== undefined)
    writes.push({
      file: at('cpu.cfs_quota_us'),
      value: String(quota),
      limit: `a CPU quota of ${quota} µs`,
    })
  return writes
}

/** A new cpuset is empty and takes no process, so the parents' sets go down level by level first. */
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
    const inherited = readFileSync(path.join(hierarchy.ownDirectory, file), 'utf8').trim()
    const parent = path.join(path.dirname(directory), file)
    if (readFileSync(parent, 'utf8').trim() === '') writes.push({ file: parent, value: inherited })
    writes.push({
      file: path.join(directory, file),
      value: wanted ?? inherited,
      ...(wanted === undefined ? {} : { limit: `${file} ${wanted}` }),
    })
  }
  return writes
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

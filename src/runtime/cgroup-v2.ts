// Limits as cgroup version 2 takes them (kernel Documentation/admin-guide/cgroup-v2.rst).

import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Resources } from '../oci/runtime-config.ts'
import type { CgroupWrite } from './cgroup.ts'
import { version2BlockWrites } from './cgroup-block-io.ts'
import type { CgroupHierarchy } from './cgroup-layout.ts'
import { refuseBelowUse } from './cgroup-use.ts'
import { rdmaWrites } from './cgroup-v1.ts'

/** What to write, in order, for a new cgroup: controllers are passed down from the top first, then come its limits. */
export function version2Writes(
  hierarchy: CgroupHierarchy,
  directory: string,
  resources: Resources,
): readonly CgroupWrite[] {
  const { memory = {} } = resources
  if (memory.checkBeforeUpdate === true)
    refuseBelowUse(memory.limit, path.join(directory, 'memory.current'))
  const limits = Object.entries(limitsByController(resources, directory)).filter(
    ([controller, writes]) => writes.length > 0 && hierarchy.controllers.includes(controller),
  )
  const enabling = limits.flatMap(([controller]) =>
    enablingWrites(controller, hierarchy.mountPoint, directory),
  )
  const settings = limits.flatMap(([, writes]) => writes)
  return [
    ...enabling,
    ...settings.map(write => ({ ...write, file: path.join(directory, write.file) })),
  ]
}

/** Every cgroup from the top to the parent must list the controller in cgroup.subtree_control. */
function enablingWrites(controller: string, top: string, directory: string): CgroupWrite[] {
  const names = path.relative(top, path.dirname(directory)).split('/').filter(Boolean)
  return [top, ...names.map((_, index) => path.join(top, ...names.slice(0, index + 1)))]
    .map(ancestor => path.join(ancestor, 'cgroup.subtree_control'))
    .filter(file => !readFileSync(file, 'utf8').split(/\s+/).includes(controller))
    .map(file => ({
      file,
      value: `+${controller}`,
      limit: `the controller ${controller} below ${path.dirname(file)}`,
    }))
}

function limitsByController(
  resources: Resources,
  directory: string,
): Readonly<Record<string, readonly CgroupWrite[]>> {
  return withUnified(resources, ownLimits(resources, directory))
}

/** Files that the configuration names itself come after what is derived, and so win. */
function withUnified(
  { unified = {} }: Resources,
  own: Readonly<Record<string, readonly CgroupWrite[]>>,
): Readonly<Record<string, readonly CgroupWrite[]>> {
  const writes = new Map(Object.entries(own))
  for (const [file, value] of Object.entries(unified)) {
    const controller = file.slice(0, file.indexOf('.'))
    const limit = `${file} of ${JSON.stringify(value)}`
    writes.set(controller, [...(writes.get(controller) ?? []), { file, value, limit }])
  }
  return Object.fromEntries(writes)
}

function ownLimits(
  resources: Resources,
  directory: string,
): Readonly<Record<string, readonly CgroupWrite[]>> {
  const { pids, cpu = {} } = resources
  const pidsMax = pids === undefined || pids.limit <= 0 ? 'max' : String(pids.limit)
  return {
    memory: memoryWrites(resources),
    cpu: cpuWrites(resources),
    cpuset: [
      ...(cpu.cpus === undefined
        ? []
        : [{ file: 'cpuset.cpus', value: cpu.cpus, limit: `the CPUs ${cpu.cpus}` }]),
      ...(cpu.mems === undefined
        ? []
        : [{ file: 'cpuset.mems', value: cpu.mems, limit: `the memory nodes ${cpu.mems}` }]),
    ],
    io: version2BlockWrites(resources, directory),
    hugetlb: hugepageWrites(resources),
    rdma: rdmaWrites(resources, file => file),
    pids:
      pids === undefined
        ? []
        : [{ file: 'pids.max', value: pidsMax, limit: `a limit of ${pidsMax} processes` }],
  }
}

/** The configuration counts memory and swap together, as version 1 does; this version counts swap alone. */
function memoryWrites({ memory = {} }: Resources): CgroupWrite[] {
  const { limit, swap, reservation } = memory
  const writes: CgroupWrite[] = []
  if (limit !== undefined)
    writes.push({
      file: 'memory.max',
      value: maxOr(limit),
      limit: `a memory limit of ${limit} bytes`,
    })
  if (swap !== undefined)
    writes.push({
      file: 'memory.swap.max',
      value: swap < 0 ? 'max' : String(Math.max(0, swap - (limit ?? 0))),
      limit: `a limit of ${swap} bytes for memory and swap`,
    })
  if (reservation !== undefined)
    writes.push({
      file: 'memory.low',
      value: String(reservation),
      limit: `a memory reservation of ${reservation} bytes`,
    })
  return writes
}

function cpuWrites({ cpu = {} }: Resources): CgroupWrite[] {
  const { shares, quota, period = 100_000 } = cpu
  const writes: CgroupWrite[] = []
  if (shares !== undefined)
    writes.push({ file: 'cpu.weight', value: weightOf(shares), limit: `${shares} CPU shares` })
  if (quota !== undefined || cpu.period !== undefined)
    writes.push({
      file: 'cpu.max',
      value: `${maxOr(quota ?? -1)} ${period}`,
      limit: `a CPU quota of ${quota ?? -1} µs in ${period} µs`,
    })
  for (const [file, value] of [
    ['cpu.max.burst', cpu.burst],
    ['cpu.idle', cpu.idle],
  ] as const)
    if (value !== undefined)
      writes.push({ file, value: String(value), limit: `${file} of ${value}` })
  return writes
}

/** Pages that are reserved count as well as those that are used. */
function hugepageWrites({ hugepageLimits = [] }: Resources): CgroupWrite[] {
  return hugepageLimits.map(({ pageSize, limit }) => ({
    file: `hugetlb.${pageSize}.max`,
    value: Number.isSafeInteger(limit) ? String(limit) : 'max',
    limit: `a limit of ${limit} bytes in pages of ${pageSize}`,
  }))
}

function maxOr(value: number): string {
  return value < 0 ? 'max' : String(value)
}

/** Shares from 2 to 262144 onto weights from 1 to 10000, as all runtimes map them. */
function weightOf(shares: number): string {
  const bounded = Math.min(Math.max(shares, 2), 262_144)
  return String(1 + Math.floor(((bounded - 2) * 9999) / 262_142))
}

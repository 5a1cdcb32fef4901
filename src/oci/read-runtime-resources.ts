// Reads the limits of a runtime configuration, in config.json and in what `update --resources` names (runtime-spec v1.2.1
// config-linux.md#control-groups).

import {
  definedMembers,
  listOf,
  mapOf,
  objectReader,
  type ReadJson,
  readBoolean,
  readSize,
  readText,
  wrongShape,
} from './json-shape.ts'
import { oneOf, readLarge, readSigned } from './read-process-config.ts'
import type {
  BlockIoResources,
  CpuResources,
  DeviceRule,
  HugepageLimit,
  MemoryResources,
  NetworkResources,
  RdmaLimit,
  Resources,
  ThrottleDevice,
  WeightDevice,
} from './runtime-resources.ts'

/** Engines in Go write 0 where nothing is asked for; no limit of these kinds can be 0. */
function orUnset(number: number | undefined): number | undefined {
  return number === 0 ? undefined : number
}

const readMemory: ReadJson<MemoryResources> = (value, place) => {
  const memory = objectReader(value, place)
  return definedMembers({
    limit: orUnset(memory.optional('limit', readLimit)),
    reservation: orUnset(memory.optional('reservation', readLimit)),
    swap: orUnset(memory.optional('swap', readLimit)),
    kernel: orUnset(memory.optional('kernel', readLimit)),
    kernelTCP: orUnset(memory.optional('kernelTCP', readLimit)),
    swappiness: memory.optional('swappiness', readLarge),
    disableOOMKiller: memory.optional('disableOOMKiller', readBoolean),
    useHierarchy: memory.optional('useHierarchy', readBoolean),
    checkBeforeUpdate: memory.optional('checkBeforeUpdate', readBoolean),
  })
}

/** Bytes; what is below 0, or the largest that 63 bits hold, is no limit. */
const readLimit: ReadJson<number> = (value, place) => {
  if (typeof value === 'bigint') return readLarge(value, place) === Infinity ? -1 : Number(value)
  return readSigned(value, place)
}

const setPattern = /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/

/** CPUs or memory nodes, such as `0-3,7`; an empty text says nothing. */
const readSet: ReadJson<string | undefined> = (value, place) => {
  const set = readText(value, place).replace(/\s/g, '')
  if (set === '') return undefined
  if (!setPattern.test(set)) throw wrongShape(place, 'a list such as 0-3,7', value)
  return set
}

const readCpu: ReadJson<CpuResources> = (value, place) => {
  const cpu = objectReader(value, place)
  return definedMembers({
    shares: orUnset(cpu.optional('shares', readLarge)),
    quota: orUnset(cpu.optional('quota', readSigned)),
    burst: orUnset(cpu.optional('burst', readLarge)),
    period: orUnset(cpu.optional('period', readLarge)),
    realtimeRuntime: orUnset(cpu.optional('realtimeRuntime', readSigned)),
    realtimePeriod: orUnset(cpu.optional('realtimePeriod', readLarge)),
    cpus: cpu.optional('cpus', readSet),
    mems: cpu.optional('mems', readSet),
    idle: cpu.optional('idle', readSigned),
  })
}

const readAccess: ReadJson<string> = (value, place) => {
  const access = readText(value, place)
  if (!/^[rwm]{0,3}$/.test(access)) throw wrongShape(place, 'letters of rwm', value)
  return access
}

const readDeviceRule: ReadJson<DeviceRule> = (value, place) => {
  const rule = objectReader(value, place)
  return definedMembers({
    allow: rule.optional('allow', readBoolean) ?? false,
    type: rule.optional('type', readDeviceType),
    // -1, as runc writes it, stands for all numbers, too.
    major: withoutNegative(rule.optional('major', readSigned)),
    minor: withoutNegative(rule.optional('minor', readSigned)),
    access: rule.optional('access', readAccess) || undefined,
  })
}

const readDeviceType: ReadJson<'a' | 'b' | 'c' | undefined> = (value, place) =>
  value === '' ? undefined : oneOf(['a', 'b', 'c'] as const)(value, place)

function withoutNegative(number: number | undefined): number | undefined {
  return number === undefined || number < 0 ? undefined : number
}

const readThrottle: ReadJson<ThrottleDevice> = (value, place) => {
  const device = objectReader(value, place)
  return {
    major: device.required('major', readSize),
    minor: device.required('minor', readSize),
    rate: device.required('rate', readLarge),
  }
}

const readWeight: ReadJson<WeightDevice> = (value, place) => {
  const device = objectReader(value, place)
  return definedMembers({
    major: device.required('major', readSize),
    minor: device.required('minor', readSize),
    weight: orUnset(device.optional('weight', readSize)),
    leafWeight: orUnset(device.optional('leafWeight', readSize)),
  })
}

const readBlockIo: ReadJson<BlockIoResources> = (value, place) => {
  const block = objectReader(value, place)
  const throttles = listOf(readThrottle)
  return definedMembers({
    weight: orUnset(block.optional('weight', readSize)),
    leafWeight: orUnset(block.optional('leafWeight', readSize)),
    weightDevice: block.optional('weightDevice', listOf(readWeight)),
    throttleReadBpsDevice: block.optional('throttleReadBpsDevice', throttles),
    throttleWriteBpsDevice: block.optional('throttleWriteBpsDevice', throttles),
    throttleReadIOPSDevice: block.optional('throttleReadIOPSDevice', throttles),
    throttleWriteIOPSDevice: block.optional('throttleWriteIOPSDevice', throttles),
  })
}

const readPageSize: ReadJson<string> = (value, place) => {
  const size = readText(value, place)
  if (!/^[1-9]\d*[KMG]B$/.test(size)) throw wrongShape(place, 'a page size such as 2MB', value)
  return size
}

const readHugepages: ReadJson<HugepageLimit> = (value, place) => {
  const limit = objectReader(value, place)
  return {
    pageSize: limit.required('pageSize', readPageSize),
    limit: limit.required('limit', readLarge),
  }
}

const readNetwork: ReadJson<NetworkResources> = (value, place) => {
  const network = objectReader(value, place)
  return definedMembers({
    classID: network.optional('classID', readSize),
    priorities: network.optional(
      'priorities',
      listOf((item, at) => {
        const entry = objectReader(item, at)
        return {
          name: entry.required('name', readText),
          priority: entry.required('priority', readSize),
        }
      }),
    ),
  })
}

const readRdma: ReadJson<RdmaLimit> = (value, place) => {
  const limit = objectReader(value, place)
  return definedMembers({
    hcaHandles: limit.optional('hcaHandles', readSize),
    hcaObjects: limit.optional('hcaObjects', readSize),
  })
}

/** Files of one cgroup: a name with a slash would reach another. */
const readUnified: ReadJson<Readonly<Record<string, string>>> = (value, place) => {
  const files = mapOf(readText)(value, place)
  for (const name of Object.keys(files))
    if (!/^[a-z0-9_]+(?:\.[A-Za-z0-9_]+)+$/.test(name))
      throw wrongShape(place, 'names of cgroup files such as memory.high', name)
  return files
}

/** All resources. @throws the place's code with the path of what is wrong */
export const readResources: ReadJson<Resources> = (value, place) => {
  const resources = objectReader(value, place)
  return definedMembers({
    memory: resources.optional('memory', readMemory),
    cpu: resources.optional('cpu', readCpu),
    pids: resources.optional('pids', readPids),
    devices: resources.optional('devices', listOf(readDeviceRule)),
    blockIO: resources.optional('blockIO', readBlockIo),
    hugepageLimits: resources.optional('hugepageLimits', listOf(readHugepages)),
    network: resources.optional('network', readNetwork),
    rdma: resources.optional('rdma', mapOf(readRdma)),
    unified: resources.optional('unified', readUnified),
  })
}

const readPids: ReadJson<{ readonly limit: number } | undefined> = (value, place) => {
  const limit = objectReader(value, place).optional('limit', readLimit)
  return limit === undefined ? undefined : { limit }
}

// Reads the `process` of a runtime configuration, in config.json and in what `exec --process` names (runtime-spec v1.2.1
// config.md#process). Every value is checked here, with its path in the message.

import {
  definedMembers,
  type JsonPlace,
  listOf,
  type ObjectReader,
  objectReader,
  type ReadJson,
  readBoolean,
  readSize,
  readText,
  wrongShape,
} from './json-shape.ts'
import type { CapabilitySets, ProcessConfig, Rlimit, SchedulerConfig } from './runtime-config.ts'

const maxId = 0xffff_fffe

/** A user or group id: 32 bits, of which the last value means "none" to the kernel. */
export const readId: ReadJson<number> = (value, place) => {
  const id = readSize(value, place)
  if (id > maxId) throw wrongShape(place, `an id up to ${maxId}`, value)
  return id
}

/** Text for the kernel, which ends at a NUL. */
export const readPlainText: ReadJson<string> = (value, place) => {
  const text = readText(value, place)
  if (text.includes('\0')) throw wrongShape(place, 'a string without NUL', value)
  return text
}

export const readTexts: ReadJson<readonly string[]> = listOf(readPlainText)

/** A whole number that may be negative, as far as JavaScript holds it exactly. */
export const readSigned: ReadJson<number> = (value, place) => {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    throw wrongShape(place, 'a whole number', value)
  return value
}

/** An unsigned number of 64 bits; those above 2^53 come as bigints. All bits set: Infinity. */
export const readLarge: ReadJson<number> = (value, place) => {
  if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n)
    return value >= (1n << 63n) - 1n ? Infinity : Number(value)
  return readSize(value, place)
}

/** One of these words. */
export function oneOf<T extends string>(words: readonly T[]): ReadJson<T> {
  return (value, place) => {
    const word = words.find(each => each === value)
    if (word === undefined) throw wrongShape(place, `one of ${words.join(', ')}`, value)
    return word
  }
}

/** Refuses a list in which two items share a key. */
export function unique<T>(
  read: ReadJson<readonly T[]>,
  keyOf: (item: T) => string,
): ReadJson<readonly T[]> {
  return (value, place) => {
    const items = read(value, place)
    const seen = new Set<string>()
    for (const item of items) {
      if (seen.has(keyOf(item)))
        throw wrongShape(place, `no duplicate of ${keyOf(item)}`, keyOf(item))
      seen.add(keyOf(item))
    }
    return items
  }
}

/** A path from the root. */
export const readAbsolute: ReadJson<string> = (value, place) => {
  const path = readPlainText(value, place)
  if (!path.startsWith('/')) throw wrongShape(place, 'an absolute path', value)
  return path
}

const rlimitTypes =
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'
    .split(' ')
    .map(name => `RLIMIT_${name}`)

const readRlimit: ReadJson<Rlimit> = (value, place) => {
  const limit = objectReader(value, place)
  const rlimit = {
    type: limit.required('type', oneOf(rlimitTypes)),
    soft: limit.required('soft', readLarge),
    hard: limit.required('hard', readLarge),
  }
  if (rlimit.soft > rlimit.hard)
    throw wrongShape(place, 'a soft limit that is not above the hard one', rlimit.soft)
  return rlimit
}

/** The sets of capabilities; one that is not there is empty. */
const readCapabilities: ReadJson<CapabilitySets> = (value, place) => {
  const sets = objectReader(value, place)
  const set = (name: string): readonly string[] => sets.optional(name, readTexts) ?? []
  return {
    bounding: set('bounding'),
    effective: set('effective'),
    permitted: set('permitted'),
    inheritable: set('inheritable'),
    ambient: set('ambient'),
  }
}

const noCapabilities: CapabilitySets = {
  bounding: [],
  effective: [],
  permitted: [],
  inheritable: [],
  ambient: [],
}

const schedulingPolicies =
  'SCHED_OTHER SCHED_FIFO SCHED_RR SCHED_BATCH SCHED_ISO SCHED_IDLE SCHED_DEADLINE'.split(' ')

const schedulingFlags =
  'RESET_ON_FORK RECLAIM DL_OVERRUN KEEP_POLICY KEEP_PARAMS UTIL_CLAMP_MIN UTIL_CLAMP_MAX'
    .split(' ')
    .map(name => `SCHED_FLAG_${name}`)

const readScheduler: ReadJson<SchedulerConfig> = (value, place) => {
  const scheduler = objectReader(value, place)
  return definedMembers({
    policy: scheduler.required('policy', oneOf(schedulingPolicies)),
    nice: scheduler.optional('nice', readSigned),
    priority: scheduler.optional('priority', readSigned),
    flags: scheduler.optional('flags', listOf(oneOf(schedulingFlags))),
    runtime: scheduler.optional('runtime', readLarge),
    deadline: scheduler.optional('deadline', readLarge),
    period: scheduler.optional('period', readLarge),
  })
}

/** Go leaves 0 out. */
const readLevel: ReadJson<number> = (value, place) => {
  const level = readSize(value, place)
  if (level > 7) throw wrongShape(place, 'a priority from 0 to 7', value)
  return level
}

const readIoPriority: ReadJson<NonNullable<ProcessConfig['ioPriority']>> = (value, place) => {
  const priority = objectReader(value, place)
  return {
    class: priority.required(
      'class',
      oneOf(['IOPRIO_CLASS_RT', 'IOPRIO_CLASS_BE', 'IOPRIO_CLASS_IDLE'] as const),
    ),
    priority: priority.optional('priority', readLevel) ?? 0,
  }
}

const readUser: ReadJson<ProcessConfig['user']> = (value, place) => {
  const user = objectReader(value, place)
  return definedMembers({
    uid: user.optional('uid', readId) ?? 0,
    gid: user.optional('gid', readId) ?? 0,
    umask: user.optional('umask', (umask, at) => {
      const bits = readSize(umask, at)
      if (bits > 0o7777) throw wrongShape(at, 'permission bits', umask)
      return bits & 0o777
    }),
    additionalGids: user.optional('additionalGids', listOf(readId)),
  })
}

const readOomScore: ReadJson<number> = (value, place) => {
  const score = readSigned(value, place)
  if (score < -1000 || score > 1000) throw wrongShape(place, 'a score from -1000 to 1000', value)
  return score
}

function readBox(value: unknown, place: JsonPlace): NonNullable<ProcessConfig['consoleSize']> {
  const box = objectReader(value, place)
  return { height: box.required('height', readSize), width: box.required('width', readSize) }
}

const readArguments: ReadJson<readonly string[]> = (value, place) => {
  const args = readTexts(value, place)
  if (args.length === 0) throw wrongShape(place, 'a program and its arguments', value)
  return args
}

/** A whole `process`. @throws the place's code with the path of what is wrong */
export const readProcessConfig: ReadJson<ProcessConfig> = (value, place) => {
  const process = objectReader(value, place)
  return definedMembers({
    terminal: process.optional('terminal', readBoolean),
    consoleSize: process.optional('consoleSize', readBox),
    user: process.optional('user', readUser) ?? { uid: 0, gid: 0 },
    args: process.required('args', readArguments),
    env: process.optional('env', readTexts) ?? [],
    cwd: process.required('cwd', readAbsolute),
    capabilities: process.optional('capabilities', readCapabilities) ?? noCapabilities,
    rlimits: process.optional(
      'rlimits',
      unique(listOf(readRlimit), ({ type }) => type),
    ),
    noNewPrivileges: process.optional('noNewPrivileges', readBoolean) ?? false,
    oomScoreAdj: process.optional('oomScoreAdj', readOomScore),
    ...labels(process),
    scheduler: process.optional('scheduler', readScheduler),
    ioPriority: process.optional('ioPriority', readIoPriority),
    execCPUAffinity: process.optional('execCPUAffinity', readAffinity),
  })
}

/** Empty words mean that there is none. */
function labels(process: ObjectReader): Pick<ProcessConfig, 'apparmorProfile' | 'selinuxLabel'> {
  return definedMembers({
    apparmorProfile: process.optional('apparmorProfile', readPlainText) || undefined,
    selinuxLabel: process.optional('selinuxLabel', readPlainText) || undefined,
  })
}

const cpuListPattern = /^\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*$/

/** `0-3,7`; empty: undefined. */
const readCpuList: ReadJson<string | undefined> = (value, place) => {
  const list = readText(value, place)
  if (list === '') return undefined
  if (!cpuListPattern.test(list)) throw wrongShape(place, 'a list such as 0-3,7', value)
  return list
}

const readAffinity: ReadJson<NonNullable<ProcessConfig['execCPUAffinity']>> = (value, place) => {
  const affinity = objectReader(value, place)
  return definedMembers({
    initial: affinity.optional('initial', readCpuList),
    final: affinity.optional('final', readCpuList),
  })
}

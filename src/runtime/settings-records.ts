// Settings of a process and of the root's mount that OCI configurations have beside those of every container (runtime-spec
// v1.2.1 config.md#linux-process, config-linux.md), as records of the launcher's plan.

import { existsSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import type {
  IoPriorityClass,
  MemoryPolicy,
  ProcessConfig,
  RuntimeConfig,
  SchedulerConfig,
} from '../oci/runtime-config.ts'
import { type PlanRecord, planTag } from './plan-writer.ts'

/** For a container's first process. @throws UNSUPPORTED for what this kernel cannot do */
export function settingsRecords(config: RuntimeConfig): readonly PlanRecord[] {
  const { domainname, linux } = config
  const { personality, memoryPolicy, rootfsPropagation } = linux
  return [
    ...processSettings(config.process),
    ...(domainname === undefined ? [] : [[planTag.domainName, domainname] as const]),
    ...(personality === undefined
      ? []
      : [[planTag.personality, personalityNumbers[personality.domain]] as const]),
    ...(memoryPolicy === undefined ? [] : [memoryRecord(memoryPolicy)]),
    ...(rootfsPropagation === undefined ? [] : [propagationRecord(rootfsPropagation)]),
  ]
}

/** For a process that is added to a container: `execCPUAffinity` is for these alone (config.md#linux-process). */
export function addedProcessSettings(process: Partial<ProcessConfig>): readonly PlanRecord[] {
  const { initial, final } = process.execCPUAffinity ?? {}
  const cpus = final ?? initial
  return [
    ...processSettings(process),
    ...(cpus === undefined ? [] : [[planTag.affinity, bitsOf(parseList(cpus))] as const]),
  ]
}

function processSettings(process: Partial<ProcessConfig>): PlanRecord[] {
  const { scheduler, ioPriority } = process
  const label = labelOf(process)
  return [
    ...(scheduler === undefined ? [] : [schedulerRecord(scheduler)]),
    ...(ioPriority === undefined
      ? []
      : [[planTag.ioPriority, (ioClasses[ioPriority.class] << 13) | ioPriority.priority] as const]),
    ...(label === undefined ? [] : [[planTag.label, ...label] as const]),
  ]
}

/** PER_ values of sys/personality.h. */
const personalityNumbers = { LINUX: 0, LINUX32: 8 } as const

/** IOPRIO_CLASS_ values of linux/ioprio.h. */
const ioClasses: Readonly<Record<IoPriorityClass, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
}

/** SCHED_ values of linux/sched.h. */
const policies: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
}

const schedulerFlags: Readonly<Record<string, bigint>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01n,
  SCHED_FLAG_RECLAIM: 0x02n,
  SCHED_FLAG_DL_OVERRUN: 0x04n,
  SCHED_FLAG_KEEP_POLICY: 0x08n,
  SCHED_FLAG_KEEP_PARAMS: 0x10n,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20n,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40n,
}

function schedulerRecord(scheduler: SchedulerConfig): PlanRecord {
  const { policy, flags = [], nice = 0, priority = 0 } = scheduler
  return [
    planTag.scheduler,
    policies[policy] ?? 0,
    flags.reduce((bits, flag) => bits | (schedulerFlags[flag] ?? 0n), 0n),
    nice,
    priority,
    BigInt(scheduler.runtime ?? 0),
    BigInt(scheduler.deadline ?? 0),
    BigInt(scheduler.period ?? 0),
  ]
}

/** MPOL_ values of linux/mempolicy.h. */
const memoryModes: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
}

const memoryFlags: Readonly<Record<string, number>> = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
}

function memoryRecord({ mode, nodes, flags = [] }: MemoryPolicy): PlanRecord {
  const value = flags.reduce(
    (bits, flag) => bits | (memoryFlags[flag] ?? 0),
    memoryModes[mode] ?? 0,
  )
  const numbers = nodes === undefined ? [] : parseList(nodes)
  if (numbers.some(number => number > 63))
    throw new KauriError('UNSUPPORTED', `memory nodes above 63 are not supported: ${nodes}`)
  return [
    planTag.memoryPolicy,
    value,
    numbers.reduce((bits, number) => bits | (1n << BigInt(number)), 0n),
  ]
}

const mostNumbers = 8192

/** `0-3,7` as numbers. @throws USAGE */
function parseList(text: string): readonly number[] {
  return text.split(',').flatMap(part => {
    const [, first = '', last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part) ?? []
    const from = Number(first)
    const count = Number(last) - from + 1
    if (first === '' || count < 1 || Number(last) >= mostNumbers)
      throw new KauriError('USAGE', `${JSON.stringify(text)} is no list such as 0-3,7`)
    return Array.from({ length: count }, (_, index) => from + index)
  })
}

function bitsOf(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array((Math.floor(Math.max(...numbers) / 64) + 1) * 8)
  for (const number of numbers) bytes[number >> 3] = (bytes[number >> 3] ?? 0) | (1 << (number & 7))
  return bytes
}

/** MS_ bits of mount(2). */
const propagationBits: Readonly<Record<string, number>> = {
  unbindable: 1 << 17,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
}

function propagationRecord(word: string): PlanRecord {
  const plain = word in propagationBits ? word : word.slice(1)
  return [planTag.rootPropagation, propagationBits[plain] ?? 0]
}

/** The file of a security module and what goes into it; a module that does not run would make it an empty promise. */
function labelOf({
  apparmorProfile,
  selinuxLabel,
}: Partial<ProcessConfig>): readonly [file: string, text: string] | undefined {
  if (selinuxLabel !== undefined) {
    requireModule('SELinux', '/sys/fs/selinux/enforce', selinuxLabel)
    return ['attr/exec', selinuxLabel]
  }
  if (apparmorProfile === undefined || apparmorProfile === 'unconfined') return undefined
  requireModule('AppArmor', '/sys/kernel/security/apparmor', apparmorProfile)
  const own = existsSync('/proc/self/attr/apparmor/exec')
  return [own ? 'attr/apparmor/exec' : 'attr/exec', `exec ${apparmorProfile}`]
}

function requireModule(name: string, sign: string, label: string): void {
  if (existsSync(sign)) return
  throw new KauriError(
    'UNSUPPORTED',
    `the label ${label} needs ${name}, which this kernel does not run`,
    {
      hint: `switch ${name} off in the engine or in the configuration`,
    },
  )
}

// Records of a plan that make the launcher a container's monitor.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { ContainerCgroup } from './cgroup.ts'
import type { HostCommand, MonitorSupervision } from './container-runtime.ts'
import { type PlanRecord, planTag } from './plan-writer.ts'

/** Descriptor of the first lock in the clean-up command; the others follow. */
export const firstLockFd = 5

const openInputFlag = 1
const logDrivers = { none: 0, 'json-file': 1, local: 2 } as const

/** @throws USAGE for a command without an absolute path */
export function monitorRecords(
  supervision: MonitorSupervision,
  { directory, cgroup }: { readonly directory: string; readonly cgroup: ContainerCgroup },
): readonly PlanRecord[] {
  const { openInput, locks, log, cleanUp, timer } = supervision
  return [
    [planTag.monitor, directory, openInput ? openInputFlag : 0, locks.length],
    ...(log.driver === 'none'
      ? []
      : [
          [
            planTag.log,
            logDrivers[log.driver],
            log.file,
            BigInt(log.maxBytes ?? 0),
            log.maxFiles ?? 1,
          ] as const,
        ]),
    [planTag.cleanUp, ...commandFields(cleanUp)],
    ...(timer === undefined
      ? []
      : [
          [
            planTag.timer,
            BigInt(timer.firstMs),
            BigInt(timer.intervalMs),
            ...commandFields(timer),
          ] as const,
        ]),
    ...memoryFiles(cgroup).map((file): PlanRecord => [planTag.oomFile, file]),
  ]
}

function commandFields({
  args,
  environment,
}: HostCommand): readonly [readonly string[], readonly string[]] {
  if (args[0]?.startsWith('/') !== true)
    throw new KauriError('USAGE', `${args[0] ?? 'nothing'} is no absolute path of a program`)
  return [args, environment]
}

/** Version 1 counts in one file, version 2 in the other; what is not there counts nothing. */
function memoryFiles({ directories }: ContainerCgroup): readonly string[] {
  return directories.flatMap(directory =>
    ['memory.oom_control', 'memory.events'].map(name => path.join(directory, name)),
  )
}

// Limits in LXC's language: rlimits, cgroups of both versions, kernel settings.

import type { Resources, Rlimit, RuntimeConfig } from '../../oci/runtime-config.ts'
import { formatDeviceRule } from '../../runtime/device-program.ts'

type Line = readonly [key: string, value: string]

export function lxcLimits({ process, linux }: RuntimeConfig): readonly Line[] {
  const { resources = {}, sysctl = {}, cgroupsPath } = linux
  return [
    ...(cgroupsPath === undefined
      ? []
      : [['lxc.cgroup.dir', cgroupsPath.replace(/^\//, '')] as const]),
    ...(process.rlimits ?? []).map(limitLine),
    ...(process.oomScoreAdj === undefined
      ? []
      : [['lxc.proc.oom_score_adj', String(process.oomScoreAdj)] as const]),
    // Those of the network are set before LXC begins; it would set them when /proc/sys is locked.
    ...Object.entries(sysctl)
      .filter(([name]) => !name.startsWith('net.'))
      .map(([name, value]): Line => [`lxc.sysctl.${name}`, value]),
    ...resourceLines(resources),
  ]
}

function limitLine({ type, soft, hard }: Rlimit): Line {
  const name = type.replace(/^RLIMIT_/, '').toLowerCase()
  return [`lxc.prlimit.${name}`, `${limitText(soft)}:${limitText(hard)}`]
}

function limitText(value: number): string {
  return value < 0 || !Number.isFinite(value) ? 'unlimited' : String(value)
}

/** Files of both versions; LXC takes those of the version that is mounted. */
function resourceLines({ memory = {}, cpu = {}, pids, devices = [] }: Resources): readonly Line[] {
  const lines: Line[] = devices.flatMap((rule): Line[] => {
    const key = rule.allow ? 'allow' : 'deny'
    return [
      [`lxc.cgroup.devices.${key}`, formatDeviceRule(rule)],
      [`lxc.cgroup2.devices.${key}`, formatDeviceRule(rule)],
    ]
  })
  const add = (value: number | string | undefined, first: string, second: string): void => {
    if (value === undefined) return
    lines.push([`lxc.cgroup.${first}`, String(value)])
    lines.push([`lxc.cgroup2.${second}`, Number(value) < 0 ? 'max' : String(value)])
  }
  add(memory.limit, 'memory.limit_in_bytes', 'memory.max')
  if (memory.swap !== undefined)
    lines.push(['lxc.cgroup.memory.memsw.limit_in_bytes', String(memory.swap)])
  add(memory.reservation, 'memory.soft_limit_in_bytes', 'memory.low')
  if (pids !== undefined && pids.limit > 0) add(pids.limit, 'pids.max', 'pids.max')
  add(cpu.cpus, 'cpuset.cpus', 'cpuset.cpus')
  add(cpu.mems, 'cpuset.mems', 'cpuset.mems')
  const { shares, quota, period = 100_000 } = cpu
  if (shares !== undefined) lines.push(['lxc.cgroup.cpu.shares', String(shares)])
  if (quota !== undefined) {
    lines.push(['lxc.cgroup.cpu.cfs_period_us', String(period)])
    lines.push(['lxc.cgroup.cpu.cfs_quota_us', String(quota)])
    lines.push(['lxc.cgroup2.cpu.max', `${quota < 0 ? 'max' : quota} ${period}`])
  }
  return lines
}

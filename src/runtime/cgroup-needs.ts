// Which controllers limits need, by the names of version 1; version 2 calls blkio io and has no network controllers.

import type { Resources } from '../oci/runtime-config.ts'

/** Controllers without which a limit would not hold. */
export function neededControllers(resources: Resources): ReadonlySet<string> {
  const { memory, pids, cpu = {}, blockIO, hugepageLimits = [], network, rdma = {} } = resources
  const { cpus, mems, ...times } = cpu
  const needed = new Set<string>()
  const need = (controller: string, isNeeded: boolean): void => {
    if (isNeeded) needed.add(controller)
  }
  need('memory', hasValues(memory))
  need('pids', pids !== undefined)
  need('cpu', hasValues(times))
  need('cpuset', cpus !== undefined || mems !== undefined)
  need('blkio', hasValues(blockIO))
  need('hugetlb', hugepageLimits.length > 0)
  need('net_cls', network?.classID !== undefined)
  need('net_prio', (network?.priorities ?? []).length > 0)
  need('rdma', Object.keys(rdma).length > 0)
  return needed
}

/** Engines write objects and lists without anything in them. */
function hasValues(resources: object | undefined): boolean {
  return Object.values(resources ?? {}).some(value =>
    Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false,
  )
}

/** True where the hierarchy has the controller, by either version's name. */
export function hasController(controllers: readonly string[], wanted: string): boolean {
  return controllers.includes(wanted) || (wanted === 'blkio' && controllers.includes('io'))
}

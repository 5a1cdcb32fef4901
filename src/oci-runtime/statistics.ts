// `events`: what a container has used, in the shape of runc's statistics, which containerd and cadvisor read.

import type { ContainerStats } from '../runtime/cgroup-stats.ts'

/** One line of `events`. Where nothing counts a resource it is 0, as runc has it. */
export function statisticsEvent(id: string, stats: ContainerStats): object {
  return {
    type: 'stats',
    id,
    data: {
      cpu: { usage: { total: stats.cpuNanoseconds }, throttling: {} },
      memory: {
        usage: { usage: stats.memoryBytes, limit: stats.memoryLimitBytes },
      },
      pids: { current: stats.processes },
      blkio: {
        ioServiceBytesRecursive: [
          { op: 'Read', value: stats.blockReadBytes },
          { op: 'Write', value: stats.blockWriteBytes },
        ],
      },
      network_interfaces:
        stats.networkReceivedBytes === undefined
          ? []
          : [{ RxBytes: stats.networkReceivedBytes, TxBytes: stats.networkSentBytes ?? 0 }],
    },
  }
}

// What a container was asked for of the host, in docker's words: HostConfig of its API.

import type { ContainerSpec, StoredRequest } from './container.ts'
import { formatRestartPolicy } from './restart-policy.ts'

/** Pure; limits that were not asked for are zero, as docker has them. */
export function hostConfigOf({ spec, mounts }: StoredRequest): object {
  return {
    Binds: bindsOf(mounts),
    LogConfig: { Type: spec.log.driver, Config: spec.log.options },
    NetworkMode: networkMode(spec),
    PortBindings: portBindings(spec),
    RestartPolicy: {
      Name: formatRestartPolicy({ ...spec.restart, maximumRetries: 0 }),
      MaximumRetryCount: spec.restart.maximumRetries,
    },
    AutoRemove: spec.removeAfter,
    ...rightsOf(spec),
    Dns: spec.resolver.servers ?? [],
    DnsOptions: spec.resolver.options ?? [],
    DnsSearch: spec.resolver.search ?? [],
    ExtraHosts: listOrNull(spec.extraHosts),
    ReadonlyRootfs: spec.readOnlyRoot,
    Init: spec.init,
    ShmSize: spec.shmSizeBytes ?? defaultShmBytes,
    Annotations: spec.annotations,
    CgroupParent: spec.cgroupParent ?? '',
    ...limitsOf(spec.resources),
    Ulimits: spec.rlimits.map(({ type, soft, hard }) => ({
      Name: type.replace(/^RLIMIT_/, '').toLowerCase(),
      Soft: soft,
      Hard: hard,
    })),
  }
}

function rightsOf(spec: ContainerSpec): object {
  const { pid, ipc, uts, cgroup } = spec.namespaces
  return {
    CapAdd: listOrNull(spec.addCapabilities),
    CapDrop: listOrNull(spec.dropCapabilities),
    CgroupnsMode: cgroup,
    GroupAdd: listOrNull(spec.groups),
    IpcMode: ipc,
    PidMode: pid === 'private' ? '' : pid,
    UTSMode: uts === 'private' ? '' : uts,
    UsernsMode: '',
    OomScoreAdj: spec.oomScoreAdj ?? 0,
    Privileged: spec.privileged,
    Sysctls: spec.sysctl,
    Devices: spec.devices.map(({ source, destination, access }) => ({
      PathOnHost: source,
      PathInContainer: destination,
      CgroupPermissions: access,
    })),
  }
}

const noLimits = {
  memory: { limit: 0, reservation: 0, swap: 0, swappiness: null, disableOOMKiller: false },
  cpu: { shares: 0, period: 0, quota: 0, cpus: '', mems: '' },
} as const

function limitsOf({ memory, cpu, pids, blockIO }: ContainerSpec['resources']): object {
  const { limit, reservation, swap, swappiness, disableOOMKiller } = {
    ...noLimits.memory,
    ...memory,
  }
  const { shares, period, quota, cpus, mems } = { ...noLimits.cpu, ...cpu }
  return {
    Memory: limit,
    MemoryReservation: reservation,
    MemorySwap: swap,
    MemorySwappiness: swappiness,
    OomKillDisable: disableOOMKiller,
    CpuShares: shares,
    CpuPeriod: period,
    CpuQuota: quota,
    NanoCpus: period > 0 && quota > 0 ? Math.round((quota / period) * 1e9) : 0,
    CpusetCpus: cpus,
    CpusetMems: mems,
    PidsLimit: pids?.limit ?? null,
    BlkioWeight: blockIO?.weight ?? 0,
  }
}

const defaultShmBytes = 64 * 1024 * 1024

function listOrNull(list: readonly string[]): readonly string[] | null {
  return list.length === 0 ? null : list
}

function bindsOf(mounts: StoredRequest['mounts']): readonly string[] | null {
  return listOrNull(
    mounts.flatMap(mount => {
      if (mount.kind === 'bind')
        return [`${mount.source}:${mount.destination}${mount.readOnly ? ':ro' : ''}`]
      return mount.kind === 'volume' && !mount.anonymous && mount.name !== undefined
        ? [`${mount.name}:${mount.destination}${mount.readOnly ? ':ro' : ''}`]
        : []
    }),
  )
}

function networkMode({ network }: ContainerSpec): string {
  if (network.kind === 'networks') return network.attachments[0]?.network ?? 'bridge'
  return network.kind === 'container' ? `container:${network.container}` : network.kind
}

function portBindings({ ports }: ContainerSpec): object {
  const bindings: Record<string, object[]> = {}
  for (const { containerPort, protocol, hostAddress, hostPort } of ports) {
    const key = `${containerPort}/${protocol}`
    const port = hostPort === 0 ? '' : String(hostPort)
    bindings[key] = [...(bindings[key] ?? []), { HostIp: hostAddress, HostPort: port }]
  }
  return bindings
}

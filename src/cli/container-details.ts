// What `kauri inspect` shows of a container, in the shape of docker's API.

import path from 'node:path'
import type { ContainerState, StoredRequest } from '../container/container.ts'
import { getRequest, readRunOf } from '../container/container-records.ts'
import { readHealth } from '../container/health.ts'
import { hostConfigOf } from '../container/host-config.ts'
import { logOf } from '../container/log-place.ts'
import type { NetworkEndpoint } from '../container/network-request.ts'
import { containerRunConfig } from '../container/run-config.ts'
import { KauriError } from '../core/errors.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { CommandContext } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { isUp } from './container-rows.ts'

const never = '0001-01-01T00:00:00Z'

/** Undefined where there is no container of that name. */
export async function containerDetails(
  name: string,
  withSize: boolean,
  context: CommandContext,
): Promise<object | undefined> {
  const containers = await openContainers(context)
  let state: ContainerState
  try {
    state = containers.get(name)
  } catch (error) {
    if (error instanceof KauriError && error.code === 'CONTAINER_NOT_FOUND') return undefined
    throw error
  }
  const request = getRequest(containers.root, state)
  const [program = '', ...args] = state.command
  const directory = path.join(containers.root, state.id)
  const snapshotter = await containers.trees()
  return {
    Id: state.id,
    Created: new Date(state.createdMs).toISOString(),
    Path: program,
    Args: args,
    State: stateOf(state, containers),
    Image: state.imageDigest,
    ResolvConfPath: path.join(directory, 'resolv.conf'),
    HostnamePath: path.join(directory, 'hostname'),
    HostsPath: path.join(directory, 'hosts'),
    LogPath: logOf(directory, request.spec.log)?.file ?? '',
    Name: `/${state.name}`,
    RestartCount: readRunOf(containers.root, state)?.restarts ?? 0,
    Driver: snapshotter.name,
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: hostConfigOf(request),
    GraphDriver: { Name: snapshotter.name, Data: null },
    ...(withSize ? await sizesOf(state.id, containers) : {}),
    Mounts: mountsOf(request, containers.root),
    Config: configOf(state, request),
    NetworkSettings: networkOf(state, request),
  }
}

async function sizesOf(id: string, containers: Containers): Promise<object> {
  const { containerSize } = await import('../container/container-size.ts')
  const { ownBytes, allBytes } = await containerSize(id, await containers.trees())
  return { SizeRw: ownBytes, SizeRootFs: allBytes }
}

function stateOf(state: ContainerState, { root, host }: Containers): object {
  const { status, run, end } = state
  const now = isUp(state) ? host.runtime.state(state.id) : undefined
  const health = readHealth(root, state.id)
  return {
    Status: status,
    Running: isUp(state) || status === 'restarting',
    Paused: status === 'paused',
    Restarting: status === 'restarting',
    OOMKilled: end?.outOfMemory ?? false,
    Dead: status === 'dead',
    Pid: now?.pid ?? 0,
    ExitCode: end?.exitCode ?? 0,
    Error: end?.error ?? '',
    StartedAt: run === undefined ? never : new Date(run.startedMs).toISOString(),
    FinishedAt:
      run === undefined || end === undefined ? never : new Date(end.finishedMs).toISOString(),
    ...(health === undefined ? {} : { Health: health }),
  }
}

function configOf({ id, imageName }: ContainerState, request: StoredRequest): object {
  const { spec } = request
  const config = containerRunConfig(request)
  return {
    Hostname: spec.hostname ?? id.slice(0, 12),
    Domainname: spec.domainname ?? '',
    AttachStdin: spec.interactive,
    AttachStdout: true,
    AttachStderr: true,
    Tty: spec.terminal,
    OpenStdin: spec.interactive,
    StdinOnce: spec.interactive,
    Cmd: null,
    Entrypoint: null,
    ...config,
    User: config.User ?? '',
    Env: config.Env ?? [],
    Image: imageName,
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? '',
    OnBuild: config.OnBuild ?? null,
    Labels: config.Labels ?? {},
    ...(spec.stopTimeoutSeconds === undefined ? {} : { StopTimeout: spec.stopTimeoutSeconds }),
  }
}

function mountsOf({ mounts }: StoredRequest, containersRoot: string): readonly object[] {
  return mounts.map(mount => {
    const { destination: Destination } = mount
    const shared = { Destination, Mode: '', Propagation: '' }
    switch (mount.kind) {
      case 'bind':
        return {
          ...shared,
          Type: 'bind',
          Source: mount.source,
          RW: !mount.readOnly,
          Propagation: mount.propagation,
        }
      case 'tmpfs':
        return { ...shared, Type: 'tmpfs', Source: '', RW: !mount.options.includes('ro') }
      case 'volume':
        return {
          ...shared,
          Type: 'volume',
          Name: mount.name,
          Source: path.join(path.dirname(containersRoot), 'volumes', mount.name ?? '', '_data'),
          Driver: 'local',
          RW: !mount.readOnly,
        }
      default:
        return mount satisfies never
    }
  })
}

function networkOf(state: ContainerState, { spec }: StoredRequest): object {
  const { endpoints = [], ports = spec.ports } = isUp(state) ? (state.run ?? {}) : { ports: [] }
  const networks = endpoints.map(endpoint => [endpoint.network, endpointOf(endpoint)] as const)
  const { Gateway, IPAddress, IPPrefixLen, MacAddress } = networks[0]?.[1] ?? noEndpoint
  return {
    Ports: portsOf(ports),
    Gateway,
    IPAddress,
    IPPrefixLen,
    MacAddress,
    Networks: Object.fromEntries(networks),
  }
}

const noEndpoint = { Gateway: '', IPAddress: '', IPPrefixLen: 0, MacAddress: '' }

interface EndpointDetails extends Readonly<typeof noEndpoint> {
  readonly Aliases: readonly string[]
  readonly NetworkID: string
}

function endpointOf(endpoint: NetworkEndpoint): EndpointDetails {
  return {
    Aliases: endpoint.aliases,
    NetworkID: endpoint.networkId,
    Gateway: endpoint.gateway ?? '',
    IPAddress: endpoint.address,
    IPPrefixLen: endpoint.prefixLength,
    MacAddress: endpoint.hardwareAddress,
  }
}

function portsOf(ports: readonly PublishedPort[]): object {
  const published: Record<string, object[]> = {}
  for (const { hostAddress, hostPort, containerPort, protocol } of ports) {
    const key = `${containerPort}/${protocol}`
    const HostIp = hostAddress === '' ? '0.0.0.0' : hostAddress
    published[key] = [...(published[key] ?? []), { HostIp, HostPort: String(hostPort) }]
  }
  return published
}

// What people call a container: an image's tree with a writable top, a process in it, and a record of both. This file
// holds the words; run-container.ts runs one, container-records.ts remembers them.

import type { Image } from '../image/image.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { Healthcheck, RunConfig } from '../oci/image-config.ts'
import type { DeviceRule, Resources, Rlimit, SeccompConfig } from '../oci/runtime-config.ts'
import type { ProcessIdentity } from '../runtime/run-record.ts'
import type { ContainerMount } from './mount-request.ts'
import type { NetworkEndpoint, NetworkRequest } from './network-request.ts'
import type { RestartPolicy } from './restart-policy.ts'
import type { UsedVolume } from './volume-use.ts'

/** 64 random hexadecimal digits. */
export type ContainerId = string & { readonly __brand: 'ContainerId' }

/** Stands for the host's address as the container sees it. */
export const hostGateway = 'host-gateway'

/** What takes the place of the host's /etc/resolv.conf; what is missing or empty comes from there. */
export interface ResolverRequest {
  /** IP addresses. */
  readonly servers?: readonly string[]
  /** Domains; a single `.` for none. */
  readonly search?: readonly string[]
  readonly options?: readonly string[]
}

/** Namespaces that a container can share: the host's, another container's, or, for `ipc`, none with a /dev/shm. */
export interface NamespaceRequest {
  /** `private`, `host` or `container:NAME`. */
  readonly pid: string
  /** `private`, `shareable`, `none`, `host` or `container:NAME`. */
  readonly ipc: string
  readonly uts: 'private' | 'host'
  readonly cgroup: 'private' | 'host'
}

/** A device of the host that the container may use. */
export interface DeviceRequest {
  /** A device or a directory of devices on the host. */
  readonly source: string
  readonly destination: string
  /** Of r, w and m. */
  readonly access: string
}

/** How the output of a container is kept, and how much of it. */
export interface LogRequest {
  readonly driver: 'json-file' | 'local' | 'none'
  /** As given: `max-size`, `max-file`, `labels`, `env`, `tag`. */
  readonly options: Readonly<Record<string, string>>
}

/** What to run, in docker's meaning; what is undefined comes from the image. Pure data, which is kept with the container. */
export interface ContainerSpec {
  /** The image as the caller named it. */
  readonly imageName: string
  /** 1 to 255 of [a-zA-Z0-9_.-]; undefined: one is made up. */
  readonly name?: string | undefined
  /** Words after the image; they replace the image's Cmd. */
  readonly command: readonly string[]
  /** Replaces the image's entrypoint and drops its Cmd; [] for none at all. */
  readonly entrypoint?: readonly string[] | undefined
  /** `K=V` sets, `K` alone takes the image's value away. */
  readonly environment: readonly string[]
  /** `name|uid[:group|gid]` */
  readonly user?: string | undefined
  /** Further groups, by name or number. */
  readonly groups: readonly string[]
  readonly workingDirectory?: string | undefined
  readonly hostname?: string | undefined
  readonly domainname?: string | undefined
  /** A pseudo-terminal for the process. */
  readonly terminal: boolean
  /** Keep standard input open; else it is empty. */
  readonly interactive: boolean
  /** Leave nothing when it ends. */
  readonly removeAfter: boolean
  readonly readOnlyRoot: boolean
  readonly network: NetworkRequest
  /** Lines for /etc/hosts, `NAME:ADDRESS`; the address may be hostGateway. */
  readonly extraHosts: readonly string[]
  readonly resolver: ResolverRequest
  /** Ports of the host that lead to the container; it must be on a network with a way out. */
  readonly ports: readonly PublishedPort[]
  readonly mounts: readonly ContainerMount[]
  readonly addCapabilities: readonly string[]
  readonly dropCapabilities: readonly string[]
  /** All rights and devices of the host, nothing masked. */
  readonly privileged: boolean
  /** Undefined: docker's default filter. */
  readonly seccomp: 'unconfined' | SeccompConfig | undefined
  readonly noNewPrivileges: boolean
  /** Paths that are neither masked nor read-only: `unconfined` of `--security-opt systempaths`. */
  readonly unmasked: boolean
  readonly namespaces: NamespaceRequest
  readonly devices: readonly DeviceRequest[]
  readonly deviceRules: readonly DeviceRule[]
  readonly sysctl: Readonly<Record<string, string>>
  readonly resources: Omit<Resources, 'devices'>
  readonly oomScoreAdj?: number | undefined
  /** Below this directory of each cgroup hierarchy; undefined: kauri's own. */
  readonly cgroupParent?: string | undefined
  readonly rlimits: readonly Rlimit[]
  readonly shmSizeBytes?: number | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** A first process of kauri's own reaps and passes signals on. */
  readonly init: boolean
  /** What `stop` sends; undefined: the image's, or SIGTERM. */
  readonly stopSignal?: string | undefined
  /** How long `stop` waits before SIGKILL; -1: for ever. */
  readonly stopTimeoutSeconds?: number | undefined
  readonly restart: RestartPolicy
  /** Members that are undefined come from the image; `Test: ['NONE']` switches it off. */
  readonly healthcheck?: Partial<Healthcheck> | undefined
  readonly log: LogRequest
}

/** What to run, and the image to run it from. */
export interface ContainerRequest extends ContainerSpec {
  readonly image: Image
}

/** What is remembered of a container, as JSON in its directory. */
export interface ContainerRecord {
  readonly id: ContainerId
  readonly name: string
  readonly imageName: string
  readonly imageDigest: string
  /** The process and its arguments. */
  readonly command: readonly string[]
  /** Milliseconds since 1970. */
  readonly createdMs: number
  readonly labels: Readonly<Record<string, string>>
  readonly removeAfter: boolean
  readonly volumes: readonly UsedVolume[]
}

/** What was asked for, as it is kept to start the container again. */
export interface StoredRequest {
  readonly spec: ContainerSpec
  /** The image's configuration: the image itself may go. */
  readonly imageConfig: RunConfig
  /** The caller's mounts and the image's volumes, all volumes with names. */
  readonly mounts: readonly ContainerMount[]
}

/** One run of a container; the last one's is kept. */
export interface ContainerRun {
  /** Milliseconds since 1970. */
  readonly startedMs: number
  readonly ports: readonly PublishedPort[]
  readonly endpoints: readonly NetworkEndpoint[]
  /** Restarts by its policy since somebody started it. */
  readonly restarts: number
  /** The wait before this run, milliseconds. */
  readonly lastWaitMs: number
}

/** How a container's process ended. */
export interface ContainerEnd {
  readonly exitCode: number
  readonly outOfMemory: boolean
  /** Milliseconds since 1970. */
  readonly finishedMs: number
  /** Why its program did not start. */
  readonly error?: string | undefined
  /** The process that waits to start it again, by its policy. */
  readonly restarting?: ProcessIdentity | undefined
}

/** Docker's words. */
export type ContainerStatusWord =
  | 'created'
  | 'running'
  | 'paused'
  | 'restarting'
  | 'exited'
  | 'dead'

/** A container as `ps` shows it. */
export interface ContainerState extends ContainerRecord {
  readonly status: ContainerStatusWord
  readonly run?: ContainerRun
  readonly end?: ContainerEnd
}

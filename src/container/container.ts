// What people call a container: an image's tree with a writable top, a process in it, and a record of both. This file
// holds the words; run-container.ts runs one, container-records.ts remembers them.

import type { Image } from '../image/image.ts'
import type { PublishedPort } from '../network/port-relay.ts'
import type { Resources, Rlimit, SeccompConfig } from '../oci/runtime-config.ts'
import type { ContainerMount } from './mount-request.ts'
import type { NetworkRequest } from './network-request.ts'
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

/** What to run, in docker's meaning; what is undefined comes from the image. */
export interface ContainerRequest {
  readonly image: Image
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
  readonly workingDirectory?: string | undefined
  readonly hostname?: string | undefined
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
  /** Undefined: docker's default filter. */
  readonly seccomp: 'unconfined' | SeccompConfig | undefined
  readonly noNewPrivileges: boolean
  readonly resources: Omit<Resources, 'devices'>
  readonly rlimits: readonly Rlimit[]
  readonly shmSizeBytes?: number | undefined
  readonly labels: Readonly<Record<string, string>>
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
  /** While it runs. */
  readonly ports: readonly PublishedPort[]
  readonly volumes: readonly UsedVolume[]
}

/** How a container's process ended. */
export interface ContainerEnd {
  readonly exitCode: number
  readonly outOfMemory: boolean
  /** Milliseconds since 1970. */
  readonly finishedMs: number
}

/** A container as `ps` shows it. */
export interface ContainerState extends ContainerRecord {
  readonly status: 'running' | 'exited'
  readonly end?: ContainerEnd
}

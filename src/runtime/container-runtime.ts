// The life of a container that outlasts the process that made it: created, running, paused, stopped. Everything that a
// later process must know is in files below the run-time directory, so no daemon is asked.

import type { Emit } from '../core/events.ts'
import type { ProcessConfig, Resources, RuntimeConfig } from '../oci/runtime-config.ts'
import type { ContainerStats } from './cgroup-stats.ts'
import type { Bundle, ContainerExit, ContainerIo, RunningContainer, Runtime } from './runtime.ts'

/** A runtime whose containers any process can find by their id. Every method but `state` throws CONTAINER_NOT_FOUND. */
export interface ContainerRuntime extends Runtime {
  /**
   * Makes everything of a container; its first process then waits for `start`. Nothing is left where it throws.
   * @throws LAUNCH_FAILED, LIMIT_UNAVAILABLE, NETWORK_UNAVAILABLE, UNSUPPORTED, USAGE, NAME_IN_USE, CANCELLED
   */
  create(bundle: Bundle, options: CreateOptions): Promise<ContainerStatus>
  /**
   * Lets the program of a created container run; resolves when it is executed.
   * @throws COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, LAUNCH_FAILED; CONTAINER_NOT_RUNNING where it was started before
   */
  start(id: string, options?: StartOptions): Promise<void>
  /** Runs one more program in a container. @throws as run; CONTAINER_NOT_RUNNING */
  exec(id: string, process: ExecProcess, options: ExecOptions): Promise<ExecResult>
  /** What is known of a container now; undefined where there is none. */
  state(id: string): ContainerStatus | undefined
  /** All containers that have files here, by id. */
  list(): readonly ContainerStatus[]
  /** Sends a signal to the first process, or to all. @throws CONTAINER_NOT_RUNNING */
  kill(id: string, signal: NodeJS.Signals | number, options?: { readonly all?: boolean }): void
  /** Stops every process where it is; returns when all have stopped. @throws CONTAINER_NOT_RUNNING */
  pause(id: string): Promise<void>
  /** @throws CONTAINER_NOT_RUNNING where it is not paused */
  resume(id: string): Promise<void>
  /** Changes limits. @throws LIMIT_UNAVAILABLE, CONTAINER_NOT_RUNNING */
  update(id: string, resources: Resources): void
  /** Waits for the end. Without a monitor nobody knows the code, which is 255 then. */
  wait(id: string, signal?: AbortSignal): Promise<ContainerExit>
  /** Removes what a stopped container has on the host, all processes first with `force`. @throws CONTAINER_RUNNING */
  delete(id: string, options?: { readonly force?: boolean }): Promise<void>
  /** What it has used up to now. */
  stats(id: string): ContainerStats
  /** Ids on the host of all its processes. */
  processes(id: string): readonly number[]
  /** Its files, readable by root alone; gone with `delete`. */
  directoryOf(id: string): string
}

export interface CreateOptions {
  readonly supervision: Supervision
  readonly hooks?: HostHooks
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
}

/** Who is there for the container when its maker has ended. */
export type Supervision = MonitorSupervision | CallerSupervision

/** A small process of its own holds streams, log and locks. */
export interface MonitorSupervision {
  readonly kind: 'monitor'
  /** A pseudo-terminal, of the size that the configuration has. */
  readonly terminal: boolean
  /** False: standard input is empty. */
  readonly openInput: boolean
  readonly log: ContainerLog
  /** Descriptors of locks, which stay held while the container is there; the caller may close its own. */
  readonly locks: readonly number[]
  /**
   * What the monitor becomes when the container has ended: the same process, with the locks at `firstLockFd` and on. It
   * removes the container by `delete`.
   */
  readonly cleanUp: HostCommand
  readonly timer?: HostTimer
}

/** Nobody of kauri's: the first process becomes a child of whoever takes this process's children. */
export interface CallerSupervision {
  readonly kind: 'caller'
  /** A unix socket that gets the master side of the container's terminal. */
  readonly consoleSocket?: string | undefined
  /** Descriptors from 3 on that the program gets. */
  readonly preserveFds: number
  /** This process stays until the container's end, which `wait` tells; streams and a terminal are relayed. */
  readonly stay?: boolean
  /** The program has this process's session keyring, not one of its own. */
  readonly keepKeyring?: boolean
}

/** Where the output goes: files, the older ones `file.1`, `file.2` …; `maxFiles` counts the one being written. */
export type ContainerLog =
  | { readonly driver: 'none' }
  | {
      readonly driver: 'json-file' | 'local'
      readonly file: string
      /** Undefined: one file without end. */
      readonly maxBytes?: number | undefined
      readonly maxFiles?: number | undefined
    }

/** A program of the host, by its absolute path, and its whole environment. */
export interface HostCommand {
  readonly args: readonly string[]
  readonly environment: readonly string[]
}

/** Runs again and again while the program does. */
export interface HostTimer extends HostCommand {
  /** From the start on. */
  readonly firstMs: number
  /** From the end of one run to the next. */
  readonly intervalMs: number
}

/** What is run on the host while a container is made. */
export interface HostHooks {
  /** Its namespaces and mounts are there; returns the state that its hooks of `createContainer` read. */
  prepared(pid: number): Promise<string>
}

export interface StartOptions {
  /** The state that hooks of `startContainer` read. */
  readonly stateJson?: string
}

/** A program for a container that is there; what is missing is as for the first process. */
export type ExecProcess = Pick<ProcessConfig, 'args'> & Partial<ProcessConfig>

export interface ExecOptions {
  readonly io: ExecIo
  /** Descriptors from 3 on that the program gets. */
  readonly preserveFds?: number
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
  /** Called when the program's process is there. */
  readonly onStart?: (program: RunningContainer) => void
}

export type ExecIo =
  | ContainerIo
  /** No streams; nobody waits for its end. */
  | { readonly kind: 'detached' }
  | {
      readonly kind: 'caller'
      readonly consoleSocket?: string | undefined
      /** The program becomes a child of whoever takes this process's children. */
      readonly detach: boolean
    }

export interface ExecResult {
  /** As a shell has it; 0 of a detached program, which was executed. */
  readonly code: number
  /** On the host. */
  readonly pid: number
}

export interface ContainerStatus {
  readonly id: string
  readonly status: 'created' | 'running' | 'paused' | 'stopped'
  /** Of its first process on the host; 0 where that has ended. */
  readonly pid: number
  /** When that began, in clock ticks since boot; tells it from a later process of the same id. */
  readonly startTicks: string
  /** Undefined without a monitor. */
  readonly monitorPid?: number
  /** Milliseconds since 1970, as all times here. */
  readonly createdMs: number
  readonly startedMs?: number
  /** How it ended, as its monitor wrote it. */
  readonly exit?: ContainerExit & { readonly finishedMs: number }
  readonly terminal: boolean
  /** Without what files in memory hold. */
  readonly config: RuntimeConfig
}

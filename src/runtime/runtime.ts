// Runs programs in containers. A bundle is an OCI runtime configuration and a root; `run` and every script of a build
// come through here. Containers that outlast their maker have a life cycle: container-runtime.ts.

import type { Emit } from '../core/events.ts'
import type { RuntimeConfig } from '../oci/runtime-config.ts'

/** What becomes `/` of a container: a directory, or an overlay that only the container's mount namespace sees. */
export type RootMount =
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'overlay'
      /** Topmost first, as overlayfs wants it. */
      readonly lower: readonly string[]
      /** Undefined: read-only. */
      readonly upper?: string
      readonly work?: string
      /**
       * Leave out every sync of the upper's file system, also the one at unmount, for which each run would wait. What a
       * crash of the machine leaves of the upper directory is then worth nothing.
       */
      readonly volatile?: boolean
    }

export interface Bundle {
  /** Unique on this host; names the cgroup and the state record. */
  readonly id: string
  readonly config: RuntimeConfig
  readonly root: RootMount
  /** The interface of a container with a network namespace of its own; undefined: only `lo`. */
  readonly network?: NetworkSetup
}

/** rtnetlink messages that make a container's interface. */
export interface NetworkSetup {
  /** What the container's first process sends in the host's network namespace. */
  readonly outside: Uint8Array
  /** What it sends in its own, after that. */
  readonly inside: Uint8Array
}

/** Where the three standard streams of the container's first process go. */
export type ContainerIo =
  /** This process's own streams; `input: false`: standard input is empty. */
  | { readonly kind: 'inherit'; readonly input?: boolean }
  /** A new pseudo-terminal, relayed to this process's terminal; `input: false`: the keyboard is left alone. */
  | { readonly kind: 'terminal'; readonly input?: boolean }
  /** Standard input empty or `input`; both outputs line by line to `onLine`, in order of arrival. */
  | { readonly kind: 'lines'; readonly input?: string; readonly onLine: (line: string) => void }

export interface RunOptions {
  readonly io: ContainerIo
  /** Abort kills every process of the container and removes what was made for it. */
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
  /** Leave files by which other processes find the container while it runs: state, exec, kill, pause. Default false. */
  readonly isFindable?: boolean
  /** Called when the container's program is about to start; signals that should reach it go through what it gets. */
  readonly onStart?: (container: RunningContainer) => void
}

/** A container's first process while it runs. */
export interface RunningContainer {
  /** Its id on the host. */
  readonly pid: number
  /** Sends it a signal; SIGKILL kills everything in the container. With a terminal SIGWINCH copies the terminal's size. */
  kill(signal: NodeJS.Signals): void
}

/** How the container's first process ended. */
export interface ContainerExit {
  /** Exit code as a shell has it: 128+n for a signal. */
  readonly code: number
  /** True where the kernel killed it, or another process of the container, for want of memory. */
  readonly outOfMemory: boolean
}

/** One way to run bundles. */
export interface Runtime {
  readonly name: string
  /**
   * Runs the bundle's process to its end and removes every process, cgroup and mount of it, also when this process dies.
   * @throws LAUNCH_FAILED, COMMAND_NOT_FOUND, COMMAND_NOT_EXECUTABLE, LIMIT_UNAVAILABLE, NETWORK_UNAVAILABLE, CANCELLED
   */
  run(bundle: Bundle, options: RunOptions): Promise<ContainerExit>
}

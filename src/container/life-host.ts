// What the life of a container is lived with: handed in by the command line.

import type { Emit } from '../core/events.ts'
import type { Snapshotter } from '../rootfs/rootfs.ts'
import type { ContainerRuntime, HostCommand } from '../runtime/container-runtime.ts'
import type { NamespaceHost } from './namespace-paths.ts'

/** Where containers are, who runs them, and how kauri is called again when something happens to one. */
export interface LifeHost extends NamespaceHost {
  /** What is true until the next boot. */
  readonly runRoot: string
  readonly snapshotter: Snapshotter
  readonly runtime: ContainerRuntime
  /** This program with other words, for a monitor to run. */
  readonly command: (words: readonly string[]) => HostCommand
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
}

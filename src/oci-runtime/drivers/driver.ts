// What a driver is: another program of the host that runs a container for kauri. All of them work on the same ground: a
// directory with the root mounted in a mount namespace of their own, files of the runtime configuration beside it.

import type { RuntimeConfig } from '../../oci/runtime-config.ts'
import type { ContainerExit } from '../../runtime/runtime.ts'

/** What a driver finds when it is asked to run a container. */
export interface DriverGround {
  readonly id: string
  /** 0700, gone afterwards; files of the driver's own go here. */
  readonly directory: string
  /** Where the root will be mounted: below the directory. */
  readonly rootfs: string
  /** Every mount is one that another program can make; the network namespace is left out where it is there already. */
  readonly config: RuntimeConfig
  /** True where the driver's program is in the container's network namespace already. */
  readonly hasNetwork: boolean
}

/** A program and how to speak to it. */
export interface ContainerDriver {
  readonly name: string
  /**
   * Writes what the program reads, and says how to call it. It passes signals on to the container's first process and
   * ends with that one's exit code.
   * @throws UNSUPPORTED for what this program cannot do
   */
  prepare(ground: DriverGround): DriverCommand
  /** The exit, or why there is none: from the code and from what the program left. @throws LAUNCH_FAILED, COMMAND_NOT_FOUND … */
  conclude(code: number, ground: DriverGround): ContainerExit
}

export interface DriverCommand {
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Appears when signals can be passed on; undefined: from the beginning. */
  readonly readyFile?: string
  /** The program is to be in the container's network namespace, with the kernel's settings of that, when it begins. */
  readonly joinsNetwork?: boolean
  /** Directories of the host that shall be empty for the program. */
  readonly hidden?: readonly string[]
}

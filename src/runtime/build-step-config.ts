// The configuration of everything that a build runs inside a root: scripts, maintainer scripts, RUN steps.

import type { ProcessConfig, RuntimeConfig, RuntimeMount } from '../oci/runtime-config.ts'
import { defaultRuntimeConfig } from './default-config.ts'

export interface BuildStepOptions {
  readonly command: readonly string[]
  /** The whole environment, NAME=value. */
  readonly environment: readonly string[]
  readonly directory: string
  /** Root unless said otherwise. */
  readonly user?: ProcessConfig['user']
  readonly network: 'none' | 'host' | 'bridge'
  readonly mounts?: readonly RuntimeMount[]
  /** `localhost` unless said otherwise, so that no host name reaches an image. */
  readonly hostname?: string
  /** Answer fsync and its like with success, true unless said otherwise: what a build makes is synced once, at its end. */
  readonly fakeSync?: boolean
}

/** Docker's default rights, and no cgroups to be seen, which saves making them. */
export function buildStepConfig(options: BuildStepOptions): RuntimeConfig {
  const { command, environment, directory, user, network, mounts, fakeSync = true } = options
  return defaultRuntimeConfig({
    args: command,
    env: environment,
    cwd: directory,
    network,
    hostname: options.hostname ?? 'localhost',
    // sudo and su are used by scripts that are root already; a build must do as a container without this flag would.
    noNewPrivileges: false,
    seccomp: { kind: 'default', fakeSync },
    showCgroups: false,
    ...(user === undefined ? {} : { user }),
    ...(mounts === undefined ? {} : { mounts }),
  })
}

// The runtime configuration of a step: who runs it, what it sees, what bounds it.

import { existsInRoot, makeDirectoriesInRoot, readTextInRoot } from '../../native/in-root.ts'
import type { RuntimeConfig, RuntimeMount } from '../../oci/runtime-config.ts'
import type { RunStep } from '../../plan/plan.ts'
import { buildStepConfig } from '../../runtime/build-step-config.ts'
import { type ContainerUser, resolveContainerUser } from '../../runtime/container-user.ts'
import type { CallerOptions } from '../build.ts'
import type { OpenedMount } from './build-mount.ts'
import { locatedError } from './located-error.ts'
import { nameFileMounts } from './name-files.ts'
import { stepEnvironment } from './run-environment.ts'
import { epochOf, type StepContext, type StepGround } from './step.ts'
import { networkMounts } from './transient-mounts.ts'

/** What BuildKit calls the machine that instructions run on; scripts of descriptions run on `localhost`. */
const instructionHostname = 'buildkitsandbox'

export interface ConfigParts {
  readonly ground: StepGround
  readonly opened: OpenedMount
  /** Where files for the container are written. */
  readonly directory: string
  /** The host's address on the step's network. */
  readonly gateway: string | undefined
}

/** Makes the files that the container sees in /etc, and its working directory. @throws USAGE for a user that the root does not know */
export function runConfig(
  step: RunStep,
  { options }: StepContext,
  parts: ConfigParts,
): RuntimeConfig {
  const { caller } = options
  const { ground, opened } = parts
  const { user, names } = readRoot(step, parts, caller)
  return buildStepConfig({
    command: step.command,
    environment: stepEnvironment(step, {
      epochSeconds: epochOf(options, ground),
      home: user.home,
      proxy: caller?.proxyEnvironment ?? [],
      secret: opened.environment ?? [],
    }),
    directory: step.directory,
    user,
    network: step.network,
    hostname: hostnameOf(step),
    mounts: [...names, ...opened.mounts],
    insecure: step.security === 'insecure',
    limits: caller?.limits,
  })
}

function hostnameOf({ hostname, phase }: RunStep): string {
  return hostname ?? (phase === 'instruction' ? instructionHostname : 'localhost')
}

interface RootFacts {
  readonly user: ContainerUser
  readonly names: readonly RuntimeMount[]
}

/** What must be known of the root before it is mounted for the step, which ends the mount of this process. */
function readRoot(
  step: RunStep,
  { ground, opened, directory, gateway }: ConfigParts,
  caller: CallerOptions | undefined,
): RootFacts {
  using tree = ground.root.open()
  const user = findUser(tree.fd, step)
  const { network } = step
  if (step.phase !== 'instruction')
    return { user, names: networkMounts(network, tree.fd, directory) }
  makeWorkingDirectory(tree.fd, step, { user, mounts: opened.mounts })
  const hostname = hostnameOf(step)
  const extraHosts = caller?.limits.extraHosts ?? []
  const files = nameFileMounts({ directory, hostname, network, gateway, extraHosts })
  // A mount on /etc shows what it shows.
  return { user, names: files.filter(file => !isInside(file.destination, opened.mounts)) }
}

function findUser(rootFd: number, { user, where }: RunStep): ContainerUser {
  const passwd = readTextInRoot(rootFd, '/etc/passwd')
  const group = readTextInRoot(rootFd, '/etc/group')
  try {
    // By number, so that it is there before any account file is.
    return resolveContainerUser(user === 'root' ? '0' : user, {
      ...(passwd === undefined ? {} : { passwd }),
      ...(group === undefined ? {} : { group }),
    })
  } catch (error) {
    throw locatedError(error, where)
  }
}

/** It belongs to the step's user and stays, as from BuildKit; one that is inside a mount goes with the mount. */
function makeWorkingDirectory(
  rootFd: number,
  { directory }: RunStep,
  {
    user: { uid, gid },
    mounts,
  }: { readonly user: ContainerUser; readonly mounts: readonly RuntimeMount[] },
): void {
  if (isInside(directory, mounts) || existsInRoot(rootFd, directory)) return
  makeDirectoriesInRoot(rootFd, directory, { mode: 0o755, uid, gid })
}

function isInside(place: string, mounts: readonly RuntimeMount[]): boolean {
  return mounts.some(({ destination }) => `${place}/`.startsWith(`${destination}/`))
}

// One more program for a container that runs: who it is, where, and with which environment, by docker's rules.

import { closeSync, constants, openSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { oPath, readTextInRoot } from '../native/in-root.ts'
import type { CapabilitySets } from '../oci/runtime-config.ts'
import { allCapabilities, ownCapabilities } from '../runtime/capabilities.ts'
import type { ExecProcess } from '../runtime/container-runtime.ts'
import {
  type ContainerUser,
  resolveContainerUser,
  resolveGroups,
} from '../runtime/container-user.ts'
import type { ContainerId } from './container.ts'
import { getRequest } from './container-records.ts'
import { environmentOf, workingDirectoryOf } from './image-process.ts'
import type { LifeHost } from './life-host.ts'

/** What to run; what is left out is as for the container's first process. */
export interface ExecRequest {
  readonly id: ContainerId
  readonly args: readonly string[]
  /** `K=V`, and `K` to unset. */
  readonly environment?: readonly string[]
  readonly user?: string | undefined
  readonly workingDirectory?: string | undefined
  readonly terminal?: boolean
  /** Gives it all rights. */
  readonly privileged?: boolean
}

/** @throws USAGE for a user that the container does not know; CONTAINER_NOT_RUNNING */
export function execProcess(
  request: ExecRequest,
  { root, runtime }: Pick<LifeHost, 'root' | 'runtime'>,
): ExecProcess {
  const { id, terminal = false, environment = [], privileged = false } = request
  const { spec, imageConfig } = getRequest(root, { id })
  const state = runtime.state(id)
  if (state === undefined || state.pid === 0)
    throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${id} is not running`)
  const { process: first } = state.config
  const user = lookUpUser(request.user ?? spec.user ?? imageConfig.User, spec.groups, state.pid)
  const hostname = state.config.hostname ?? id.slice(0, 12)
  const env = environmentOf(imageConfig, {
    hostname,
    terminal: terminal || spec.terminal,
    home: user.home,
    environment: [...spec.environment, ...environment],
  })
  const directory = request.workingDirectory
  return {
    args: request.args,
    env,
    cwd: directory === undefined ? first.cwd : workingDirectoryOf({}, directory),
    user,
    terminal,
    capabilities: capabilitiesOf(first.capabilities, user, privileged),
    noNewPrivileges: privileged ? false : first.noNewPrivileges,
  }
}

/** In the container's own files, as they are now. */
function lookUpUser(word = '', groups: readonly string[], pid: number): ContainerUser {
  const rootFd = openSync(`/proc/${pid}/root`, oPath | constants.O_DIRECTORY)
  try {
    const files = {
      passwd: readTextInRoot(rootFd, '/etc/passwd'),
      group: readTextInRoot(rootFd, '/etc/group'),
    }
    const user = resolveContainerUser(word, files)
    const more = resolveGroups(groups, files)
    return { ...user, additionalGids: [...new Set([...user.additionalGids, ...more])] }
  } finally {
    closeSync(rootFd)
  }
}

/** An ordinary user holds none; inheritable ones stay empty (CVE-2022-29162). */
function capabilitiesOf(
  { bounding }: CapabilitySets,
  { uid }: ContainerUser,
  privileged: boolean,
): CapabilitySets {
  const own = new Set(ownCapabilities())
  const granted = privileged ? allCapabilities.filter(name => own.has(name)) : bounding
  const held = uid === 0 ? granted : []
  return { bounding: granted, effective: held, permitted: held, inheritable: [], ambient: [] }
}

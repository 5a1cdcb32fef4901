// What `kauri update` does: writes the limits into the cgroups of those that run, and keeps them for the next start.

import type { ContainerState, StoredRequest } from '../container/container.ts'
import { tellEvent } from '../container/container-events.ts'
import { getRequest, writeRequest } from '../container/container-records.ts'
import { parseRestartPolicy } from '../container/restart-policy.ts'
import { KauriError } from '../core/errors.ts'
import type { Resources } from '../oci/runtime-resources.ts'
import type { CommandInput, ParsedOptions } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { isUp } from './container-rows.ts'
import { readResources } from './limit-options.ts'
import { eachContainer } from './remove-containers.ts'

/** Prints the names of those that were changed. */
export async function updateCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const restart = options.text('restart')
  const policy = restart === undefined ? undefined : parseRestartPolicy(restart)
  return await eachContainer(positionals, context, async name => {
    const state = containers.get(name)
    const request = getRequest(containers.root, state)
    if (policy !== undefined && policy.name !== 'no' && state.removeAfter)
      throw new KauriError(
        'USAGE',
        'Restart policy cannot be updated because AutoRemove is enabled',
      )
    const resources = changedResources(options, request)
    if (resources === undefined && policy === undefined)
      throw new KauriError('USAGE', 'you must provide one or more flags when using this command')
    if (resources !== undefined) applyResources(state, resources, containers)
    const spec = {
      ...request.spec,
      ...(policy === undefined ? {} : { restart: policy }),
      resources: resources ?? request.spec.resources,
    }
    writeRequest(containers.root, state.id, { ...request, spec })
    tellEvent(context.runRoot, state, 'update')
  })
}

/** Old and new ones together; undefined where no limit is given. */
function changedResources(
  options: ParsedOptions,
  { spec }: StoredRequest,
): Omit<Resources, 'devices'> | undefined {
  const { memory, cpu, blockIO, pids } = readResources(withSwap(options, spec.resources))
  if ([memory, cpu, blockIO, pids].every(part => part === undefined)) return undefined
  const before = spec.resources
  return {
    ...before,
    ...(memory === undefined ? {} : { memory: { ...before.memory, ...memory } }),
    ...(cpu === undefined ? {} : { cpu: { ...before.cpu, ...cpu } }),
    ...(blockIO === undefined ? {} : { blockIO: { ...before.blockIO, ...blockIO } }),
    ...(pids === undefined ? {} : { pids }),
  }
}

/** A new limit of swap is checked against the limit of memory that is there. */
function withSwap(options: ParsedOptions, { memory }: Omit<Resources, 'devices'>): ParsedOptions {
  const known = new Set(['oom-kill-disable', 'memory-swappiness'])
  return {
    ...options,
    flag: name => !known.has(name) && options.flag(name),
    text: name => {
      if (known.has(name) || isDevice(name)) return undefined
      const given = options.text(name)
      const isNeeded = name === 'memory' && options.text('memory-swap') !== undefined
      return given === undefined && isNeeded && memory?.limit !== undefined
        ? String(memory.limit)
        : given
    },
    texts: name => (isDevice(name) ? [] : options.texts(name)),
  }
}

function isDevice(name: string): boolean {
  return name.startsWith('device-') || name === 'blkio-weight-device'
}

function applyResources(
  state: ContainerState,
  resources: Omit<Resources, 'devices'>,
  { host }: Containers,
): void {
  if (isUp(state)) host.runtime.update(state.id, resources)
}

// What `kauri attach` does, and the end of `start -a` and `run`.

import type { ContainerState } from '../container/container.ts'
import { getRequest } from '../container/container-records.ts'
import { KauriError } from '../core/errors.ts'
import {
  type AttachStreams,
  connectMonitor,
  type MonitorConnection,
} from '../runtime/monitor-client.ts'
import { type AttachOptions, attachSession, type SessionEnd } from './attach-session.ts'
import type { CommandContext, CommandInput, ParsedOptions } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { defaultDetachKeys, parseDetachKeys } from './detach-keys.ts'
import { parseBoolean } from './option-values.ts'

/** The exit code is the container's. */
export async function attachCommand({
  options,
  positionals: [name = ''],
  context,
}: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const state = containers.get(name)
  requireRunning(state)
  const { spec } = getRequest(containers.root, state)
  const how = readAttach(options)
  const connection = await connectTo(state, { stdout: true, stderr: true }, context)
  const end = await attachSession(
    connection,
    {
      ...how,
      terminal: spec.terminal,
      input: spec.interactive && !options.flag('no-stdin'),
      endsInput: false,
    },
    context,
  )
  return codeOf(end, state, containers)
}

/** @throws CONTAINER_NOT_RUNNING */
export function requireRunning({ status, name, id }: ContainerState): void {
  if (status === 'running') return
  if (status === 'paused')
    throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${name} is paused`, {
      hint: `unpause the container first: kauri unpause ${name}`,
    })
  throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${id} is not running`, {
    hint: `kauri start ${name}`,
  })
}

/** `--detach-keys` and `--sig-proxy`, which is true unless said otherwise. @throws USAGE */
export function readAttach(
  options: ParsedOptions,
): Pick<AttachOptions, 'detachKeys' | 'relaysSignals'> {
  return {
    detachKeys: parseDetachKeys(options.text('detach-keys') ?? defaultDetachKeys),
    relaysSignals: parseBoolean('--sig-proxy', options.text('sig-proxy') ?? 'true'),
  }
}

/** @throws CONTAINER_NOT_RUNNING where nobody listens: it has just ended, or runs in the foreground of another kauri */
export async function connectTo(
  { id, name }: Pick<ContainerState, 'id' | 'name'>,
  streams: AttachStreams,
  { runRoot }: CommandContext,
): Promise<MonitorConnection> {
  try {
    return await connectMonitor(runRoot, id, streams)
  } catch (error) {
    throw new KauriError('CONTAINER_NOT_RUNNING', `the container ${name} has nobody to attach to`, {
      hint: 'it has ended, or it runs with --rm in the foreground of another command',
      cause: error,
    })
  }
}

/** The exit code that a session's end means; a container whose monitor was killed is dead by now. */
export function codeOf(
  end: SessionEnd,
  { id }: Pick<ContainerState, 'id'>,
  { host: { runtime } }: Containers,
): number {
  switch (end.kind) {
    case 'ended':
      return end.code
    case 'detached':
      return 0
    case 'lost':
      return runtime.state(id)?.exit?.code ?? 137
    default:
      return end satisfies never
  }
}

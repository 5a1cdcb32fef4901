// What `kauri stop`, `kill`, `pause` and `unpause` do.

import { tellEvent } from '../container/container-events.ts'
import { markStopped } from '../container/container-records.ts'
import { sendSignal, stopContainer } from '../container/stop-container.ts'
import { signalNumber } from '../container/stop-signal.ts'
import { KauriError } from '../core/errors.ts'
import { requireRunning } from './attach-command.ts'
import type { CommandInput } from './command.ts'
import { openContainers } from './container-host.ts'
import { readSignal, readStop } from './life-options.ts'
import { eachContainer } from './remove-containers.ts'

/** Prints the names of those that do not run any more. */
export async function stopCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  const how = await readStop(options)
  const containers = await openContainers(context)
  return await eachContainer(positionals, context, async name => {
    await stopContainer(containers.get(name), how, containers.host)
  })
}

/** Prints the names of those that got it. */
export async function killCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  const signal = (await readSignal('--signal', options.text('signal'))) ?? 'KILL'
  const containers = await openContainers(context)
  return await eachContainer(positionals, context, async name => {
    const state = containers.get(name)
    if (state.status !== 'running' && state.status !== 'paused')
      throw new KauriError(
        'CONTAINER_NOT_RUNNING',
        `cannot kill container: ${name}: container ${state.id} is not running`,
      )
    // As docker: what is killed stays dead.
    if (signalNumber(signal) === killNumber) markStopped(containers.root, state.id)
    sendSignal(state, signal, containers.host, true)
  })
}

const killNumber = 9

/** Prints the names of those that stand still now. */
export async function pauseCommand({ positionals, context }: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  return await eachContainer(positionals, context, async name => {
    const state = containers.get(name)
    if (state.status === 'paused')
      throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${state.id} is already paused`)
    requireRunning(state)
    await containers.host.runtime.pause(state.id)
    tellEvent(context.runRoot, state, 'pause')
  })
}

/** Prints the names of those that run again. */
export async function unpauseCommand({ positionals, context }: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  return await eachContainer(positionals, context, async name => {
    const state = containers.get(name)
    if (state.status !== 'paused')
      throw new KauriError('CONTAINER_NOT_RUNNING', `Container ${state.id} is not paused`)
    await containers.host.runtime.resume(state.id)
    tellEvent(context.runRoot, state, 'unpause')
  })
}

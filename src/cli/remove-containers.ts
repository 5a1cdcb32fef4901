// What `kauri rm` and `container prune` do.

import type { ContainerState } from '../container/container.ts'
import { tellEvent } from '../container/container-events.ts'
import { removeContainer } from '../container/remove-container.ts'
import { killContainer } from '../container/stop-container.ts'
import { KauriError } from '../core/errors.ts'
import type { CommandContext, CommandInput } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'

/** Every name is tried; the first failure is thrown at the end. */
export async function removeContainers({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  if (options.flag('link'))
    throw new KauriError('UNSUPPORTED', 'there are no links between containers', {
      hint: 'take containers off a network with kauri network disconnect',
    })
  const containers = await openContainers(context)
  const how = { isForced: options.flag('force'), volumes: options.flag('volumes') }
  return await eachContainer(positionals, context, async name => {
    const state = findContainer(containers, name, how.isForced, context)
    if (state !== undefined) await removeOne(state, how, containers)
  })
}

/** Does something with each name, prints those for which it was done, and throws the first failure at the end. */
export async function eachContainer(
  names: readonly string[],
  context: CommandContext,
  work: (name: string) => Promise<void>,
): Promise<number> {
  const done: string[] = []
  const failures: unknown[] = []
  for (const name of names) {
    try {
      await work(name)
      context.print(name)
      done.push(name)
    } catch (error) {
      if (!(error instanceof KauriError) || context.signal.aborted) throw error
      failures.push(error)
    }
  }
  context.printJson(done)
  const [first, ...others] = failures
  for (const error of others)
    context.emit({ kind: 'warning', message: error instanceof Error ? error.message : '' })
  if (first !== undefined) throw first
  return 0
}

/** With --force a container that is not there is only worth a warning. */
function findContainer(
  containers: Containers,
  name: string,
  isForced: boolean,
  { emit }: CommandContext,
): ContainerState | undefined {
  try {
    return containers.get(name)
  } catch (error) {
    const isMissing = error instanceof KauriError && error.code === 'CONTAINER_NOT_FOUND'
    if (!isMissing || !isForced) throw error
    emit({ kind: 'warning', message: error.message })
    return undefined
  }
}

interface RemoveHow {
  readonly isForced: boolean
  readonly volumes: boolean
}

/** @throws CONTAINER_RUNNING without force */
export async function removeOne(
  state: ContainerState,
  { isForced, volumes }: RemoveHow,
  containers: Containers,
): Promise<void> {
  const { status, name } = state
  const isUp = status === 'running' || status === 'paused' || status === 'restarting'
  if (isUp && !isForced)
    throw new KauriError(
      'CONTAINER_RUNNING',
      `cannot remove container "/${name}": container is ${status}: stop the container before removing or force remove`,
      { hint: `kauri rm -f ${name}` },
    )
  const host = await containers.lifeHost()
  if (isUp && (await killContainer(state, host)) === 'gone') return
  await removeContainer(state, { volumes }, host)
  tellEvent(host.runRoot, state, 'destroy')
}

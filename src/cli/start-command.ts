// What `kauri start` and `kauri restart` do.

import type { ContainerState } from '../container/container.ts'
import { getRequest, takeContainer } from '../container/container-records.ts'
import { firstStart, type StartHow, startContainer } from '../container/start-container.ts'
import { stopContainer } from '../container/stop-container.ts'
import { KauriError } from '../core/errors.ts'
import type { MonitorConnection } from '../runtime/monitor-client.ts'
import { codeOf, connectTo } from './attach-command.ts'
import { type AttachOptions, attachSession, terminalSize } from './attach-session.ts'
import type { CommandContext, CommandInput } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { defaultDetachKeys, parseDetachKeys } from './detach-keys.ts'
import { readStop } from './life-options.ts'
import { eachContainer } from './remove-containers.ts'

/** Without -a prints the names; with it the exit code is the container's. */
export async function startCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  if (options.text('checkpoint') !== undefined)
    throw new KauriError('UNSUPPORTED', 'kauri makes no checkpoints')
  const detachKeys = parseDetachKeys(options.text('detach-keys') ?? defaultDetachKeys)
  const containers = await openContainers(context)
  const isInteractive = options.flag('interactive')
  if (!options.flag('attach') && !isInteractive)
    return await eachContainer(positionals, context, async name => {
      await startOne(containers.get(name), containers)
    })
  const [name = '', ...others] = positionals
  if (others.length > 0)
    throw new KauriError('USAGE', 'you cannot start and attach multiple containers at once')
  const state = containers.get(name)
  const how = { detachKeys, input: isInteractive, relaysSignals: true }
  return await startAttached(state, how, { containers, context })
}

/** Nothing happens to one that runs. @throws what startContainer throws */
export async function startOne(
  state: ContainerState,
  containers: Containers,
  how: StartHow = firstStart,
): Promise<void> {
  if (state.status === 'paused')
    throw new KauriError(
      'CONTAINER_RUNNING',
      'cannot start a paused container, try unpause instead',
      { hint: `kauri unpause ${state.name}` },
    )
  if (state.status === 'running') return
  const host = await containers.lifeHost()
  if (state.status === 'restarting') await stopContainer(state, {}, host)
  await startContainer(await takeContainer(containers.root, state.id, patientMs), host, how)
}

/** The clean-up of the last run may still be under way. */
const patientMs = 10_000

type AttachHow = Pick<AttachOptions, 'detachKeys' | 'input' | 'relaysSignals'> & {
  readonly outputs?: { readonly stdout: boolean; readonly stderr: boolean }
}

/** Attaches before the program begins, so that nothing of its output is missed; the result is its exit code. */
export async function startAttached(
  state: Pick<ContainerState, 'id' | 'name' | 'status'> & ContainerState,
  { outputs = { stdout: true, stderr: true }, ...attach }: AttachHow,
  { containers, context }: { readonly containers: Containers; readonly context: CommandContext },
): Promise<number> {
  const { spec } = getRequest(containers.root, state)
  const { terminal, interactive } = spec
  let connection: MonitorConnection | undefined
  if (state.status === 'running') connection = await connectTo(state, outputs, context)
  else {
    const consoleSize = terminal ? terminalSize() : undefined
    const beforeProgram = async (): Promise<void> => {
      connection = await connectTo(state, outputs, context)
    }
    await startOne(state, containers, { ...firstStart, consoleSize, beforeProgram })
  }
  if (connection === undefined) throw new KauriError('INTERNAL', 'started without a connection')
  const end = await attachSession(
    connection,
    { ...attach, terminal, input: attach.input && interactive, endsInput: true },
    context,
  )
  return codeOf(end, state, containers)
}

/** `kauri restart`: stops what runs, and starts. */
export async function restartCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  const how = await readStop(options)
  const containers = await openContainers(context)
  return await eachContainer(positionals, context, async name => {
    const state = containers.get(name)
    if (state.removeAfter && state.status === 'running')
      throw new KauriError('UNSUPPORTED', `the container ${name} goes when it stops (--rm)`)
    await stopContainer(state, how, await containers.lifeHost())
    await startOne(containers.get(name), containers)
  })
}

// What `kauri create` does, and `kauri run` for containers that outlast it.

import { existsSync, writeFileSync } from 'node:fs'
import type { ContainerRequest, ContainerState } from '../container/container.ts'
import { getContainer, takeContainer } from '../container/container-records.ts'
import { createStopped } from '../container/create-container.ts'
import { firstStart, startContainer } from '../container/start-container.ts'
import { findState } from '../container/stop-container.ts'
import { KauriError } from '../core/errors.ts'
import { readAttach } from './attach-command.ts'
import type { CommandContext, CommandInput, ParsedOptions } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'
import { openContainerImage } from './container-image.ts'
import { publishedPorts } from './network-options.ts'
import { badValue } from './option-values.ts'
import { removeOne } from './remove-containers.ts'
import { readRunRequest, withVolumesFrom } from './run-options.ts'
import { startAttached } from './start-command.ts'

/** Prints the id. */
export async function createCommand({
  options,
  positionals,
  context,
}: CommandInput): Promise<number> {
  const [imageName = '', ...words] = positionals
  const asked = await readRunRequest(options)
  requireNoCidfile(options)
  const containers = await openContainers(context)
  const image = await openContainerImage(imageName, options, context)
  const ports = publishedPorts(asked.ports, options, image.config.config ?? {})
  const mounts = await withVolumesFrom(asked.mounts, options, context)
  const request = { ...asked, ports, mounts, image, imageName, command: words }
  const state = await make(request, { options, containers })
  context.print(state.id)
  context.printJson(state)
  return 0
}

/** The container stays when this process goes. */
export async function runStored(
  request: ContainerRequest,
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  const isDetached = options.flag('detach')
  const streams = attachedStreams(options.texts('attach'), request)
  if (isDetached && options.texts('attach').length > 0)
    throw new KauriError('USAGE', 'conflicting options: cannot specify both --attach and --detach')
  const how = readAttach(options)
  const containers = await openContainers(context)
  const state = await make(request, { options, containers })
  try {
    if (!isDetached) {
      const { input, stdout, stderr } = streams
      const attach = { ...how, input, outputs: { stdout, stderr } }
      const code = await startAttached(state, attach, { containers, context })
      if (request.removeAfter) await gone(state, containers)
      return code
    }
    const host = await containers.lifeHost()
    await context.endProgress()
    await startContainer(await takeContainer(containers.root, state.id), host, firstStart)
  } catch (error) {
    if (request.removeAfter) await dropUnstarted(state, containers)
    throw error
  }
  context.print(state.id)
  context.printJson({ id: state.id, name: state.name })
  return 0
}

/** Where nothing is said: what the container has. */
function attachedStreams(
  words: readonly string[],
  { interactive }: ContainerRequest,
): { readonly input: boolean; readonly stdout: boolean; readonly stderr: boolean } {
  const streams = words.map(word => word.toLowerCase())
  const bad = streams.find(word => !['stdin', 'stdout', 'stderr'].includes(word))
  if (bad !== undefined) throw badValue('--attach', bad, 'write stdin, stdout or stderr')
  if (streams.length === 0) return { input: interactive, stdout: true, stderr: true }
  return {
    input: streams.includes('stdin'),
    stdout: streams.includes('stdout'),
    stderr: streams.includes('stderr'),
  }
}

interface Making {
  readonly options: ParsedOptions
  readonly containers: Containers
}

async function make(
  request: ContainerRequest,
  { options, containers }: Making,
): Promise<ContainerState> {
  using container = await createStopped(request, await containers.lifeHost())
  const { record } = container
  const file = options.text('cidfile')
  if (file !== undefined) writeFileSync(file, record.id, { flag: 'wx' })
  return { ...record, status: 'created' }
}

/** @throws USAGE where another container has it */
export function requireNoCidfile(options: ParsedOptions): void {
  const file = options.text('cidfile')
  if (file === undefined || !existsSync(file)) return
  throw new KauriError('USAGE', `container ID file found: ${file}`, {
    hint: `make sure the other container isn't running, or delete ${file}`,
  })
}

/** With --rm what could not be started is not kept either; its clean-up may have removed it. */
async function dropUnstarted({ id }: ContainerState, containers: Containers): Promise<void> {
  const state = findState(containers.root, id)
  if (state?.status !== 'created') return
  await removeOne(state, { isForced: false, volumes: true }, containers)
}

const goneMs = 30_000

/** With --rm nothing is left when the command ends. */
async function gone({ id }: ContainerState, { root }: Containers): Promise<void> {
  for (const deadlineMs = Date.now() + goneMs; Date.now() < deadlineMs; ) {
    try {
      getContainer(root, id)
    } catch {
      return
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

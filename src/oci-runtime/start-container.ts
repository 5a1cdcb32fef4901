// `start`: hooks, then the program (runtime-spec v1.2.1 runtime.md#start, #lifecycle steps 6 to 9).

import { KauriError } from '../core/errors.ts'
import { pidInside, runPoststop } from './create-container.ts'
import { runHooks } from './host-hooks.ts'
import { getContainer, type OciContainer, type OciHost, stateOf } from './oci-host.ts'

/**
 * @throws CONTAINER_NOT_FOUND, LAUNCH_FAILED where it is not created or a hook fails, COMMAND_NOT_FOUND,
 *   COMMAND_NOT_EXECUTABLE
 */
export async function startContainer(id: string, host: OciHost): Promise<void> {
  const container = getContainer(host, id)
  const { status, record } = container
  if (status.status !== 'created')
    throw new KauriError('LAUNCH_FAILED', `cannot start a container that is ${status.status}`)
  if (!record.hasProcess) {
    host.runtime.kill(id, 'SIGKILL')
    throw new KauriError('USAGE', 'the configuration has no process to start')
  }
  const state = stateOf(container)
  const inside = JSON.stringify({ ...state, pid: pidInside(status.config, status.pid) })
  try {
    await host.runtime.start(id, { stateJson: inside })
    await runHooks('poststart', status.config.hooks?.poststart, {
      state: poststartState(container),
      bundle: record.bundle,
    })
  } catch (error) {
    if (isHookFailure(error)) await destroy(container, host)
    throw error
  }
}

function poststartState(container: OciContainer): string {
  return JSON.stringify({ ...stateOf(container), status: 'running' })
}

/** A program that cannot be executed leaves a stopped container; a hook that fails leaves none. */
function isHookFailure(error: unknown): boolean {
  return error instanceof KauriError && error.code === 'LAUNCH_FAILED'
}

async function destroy(container: OciContainer, host: OciHost): Promise<void> {
  const { id, config } = container.status
  await host.runtime.delete(id, { force: true })
  await runPoststop(config.hooks, { ...stateOf(container), pid: 0, status: 'stopped' }, host)
}

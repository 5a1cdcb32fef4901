// `run`: create and start in one; in the foreground also wait and delete.

import type { ContainerStatus } from '../runtime/container-runtime.ts'
import { type CreateRequest, createContainer } from './create-container.ts'
import { deleteContainer } from './end-container.ts'
import type { OciHost } from './oci-host.ts'
import { startContainer } from './start-container.ts'

export interface RunRequest extends CreateRequest {
  /** Leave the stopped container. */
  readonly keep: boolean
  /** Called when it is created: signals can be passed on from now. */
  readonly onCreated: (status: ContainerStatus) => void
}

/** The container's exit code; 0 where it goes on alone. @throws as create and start; nothing is left then */
export async function runBundle(request: RunRequest, host: OciHost): Promise<number> {
  const status = await createContainer(request, host)
  request.onCreated(status)
  try {
    await startContainer(request.id, host)
    if (!request.stays) return 0
    const { code } = await host.runtime.wait(request.id, host.signal)
    if (!request.keep) await deleteContainer(request.id, true, host)
    return code
  } catch (error) {
    await deleteContainer(request.id, true, host)
    throw error
  }
}

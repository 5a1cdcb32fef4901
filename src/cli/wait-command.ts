// What `kauri wait` does: a container that its policy starts again has not ended.

import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerState } from '../container/container.ts'
import { findState, waitForEnd } from '../container/stop-container.ts'
import type { CommandInput } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'

/** Prints a code for each name, in their order; of several that fail the first is told. */
export async function waitCommand({ positionals, context }: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const results = await Promise.allSettled(
    positionals.map(async name => await endOf(containers.get(name), containers, context.signal)),
  )
  const codes: number[] = []
  for (const result of results) {
    if (result.status === 'rejected') continue
    context.print(String(result.value))
    codes.push(result.value)
  }
  context.printJson(codes)
  const failed = results.find(result => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  return 0
}

const pauseMs = 20

/** Until its clean-up is done, which is when it is known whether its policy starts it again. */
async function endOf(
  { id }: ContainerState,
  { root, host }: Containers,
  signal: AbortSignal,
): Promise<number> {
  let code = 0
  for (;;) {
    const state = findState(root, id)
    // It was to be removed at its end.
    if (state === undefined) return code
    const { status, end } = state
    if (status === 'running') {
      code = host.runtime.state(id)?.exit?.code ?? code
      await waitForEnd({ id }, host, Date.now() + lookAgainMs)
    } else if (status === 'restarting') await sleep(pauseMs, undefined, { signal })
    else return end?.exitCode ?? code
  }
}

/** How often the monitor's word is read, for those that leave no record. */
const lookAgainMs = 100

// What `kauri wait` does: a container that its policy starts again has not ended.

import { setTimeout as sleep } from 'node:timers/promises'
import { KauriError } from '../core/errors.ts'
import type { CommandInput } from './command.ts'
import { type Containers, openContainers } from './container-host.ts'

/** Prints a code for each name, in their order; of several that fail the first is told. */
export async function waitCommand({ positionals, context }: CommandInput): Promise<number> {
  const containers = await openContainers(context)
  const results = await Promise.allSettled(
    positionals.map(async name => await endOf(name, containers, context.signal)),
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

async function endOf(name: string, containers: Containers, signal: AbortSignal): Promise<number> {
  let state = containers.get(name)
  let code = 0
  while (state.status === 'running' || state.status === 'paused' || state.status === 'restarting') {
    code = (await firstExit(state.id, containers, signal)) ?? code
    await sleep(pauseMs, undefined, { signal })
    try {
      state = containers.get(state.id)
    } catch (error) {
      // It was to be removed at its end.
      if (error instanceof KauriError && error.code === 'CONTAINER_NOT_FOUND') return code
      throw error
    }
  }
  return state.end?.exitCode ?? code
}

/** The monitor tells as soon as it knows; undefined while nothing runs. */
async function firstExit(
  id: string,
  { host: { runtime } }: Containers,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (runtime.state(id) === undefined) return undefined
  try {
    return (await runtime.wait(id, signal)).code
  } catch (error) {
    if (signal.aborted || !(error instanceof KauriError)) throw error
    return undefined
  }
}

// How a run ended that nobody noted in the container's record: what its monitor wrote is there still.

import type { ContainerRuntime } from '../runtime/container-runtime.ts'
import type { FindEnd } from './container-records.ts'

/** For sweepContainers. */
export function endsIn(runtime: Pick<ContainerRuntime, 'state'>): FindEnd {
  return id => {
    const exit = runtime.state(id)?.exit
    if (exit === undefined) return undefined
    const { code, outOfMemory, finishedMs } = exit
    return { exitCode: code, outOfMemory, finishedMs }
  }
}

// Synchronous work in slices: it goes on for a while and then lets signals, timers and other work have their turn.

import { setImmediate as nextTurn } from 'node:timers/promises'

/** Longest time in one go. */
const sliceMs = 20

/** Call it between pieces of work; it waits for a turn of the event loop where the slice is used up. */
export type Pause = () => Promise<void> | undefined

/** The first slice starts now. */
export function createPause(): Pause {
  let startedMs = performance.now()
  const pause = async (): Promise<void> => {
    await nextTurn()
    startedMs = performance.now()
  }
  return () => (performance.now() - startedMs < sliceMs ? undefined : pause())
}

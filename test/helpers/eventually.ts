// Waiting for what will become true: by looking again and again, never by a time that a loaded machine may need longer than.

import { setTimeout as sleep } from 'node:timers/promises'

/** Looks until `holds`, 30 seconds at most. False where it never held. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  const deadline = performance.now() + 30_000
  while (!(await holds())) {
    if (performance.now() > deadline) return false
    await sleep(10)
  }
  return true
}

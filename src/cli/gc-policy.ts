// Which of the things that builds can make anew go: the old ones, or the least recently used until the rest fits.

import type { GcFilters, StoredThing } from './gc-filters.ts'

export interface GcPolicy {
  /** Those used since stay; milliseconds since 1970. */
  readonly usedBeforeMs: number
  /** What all things may take together; undefined: each of them that is old goes. */
  readonly keepBytes: number | undefined
  readonly filters: GcFilters
}

/** The things that go, in the order of their last use; of equal ones the first comes first. */
export function chooseGarbage(
  things: readonly StoredThing[],
  { usedBeforeMs, keepBytes, filters }: GcPolicy,
): StoredThing[] {
  let left = things.reduce((total, { bytes }) => total + bytes, 0)
  const chosen: StoredThing[] = []
  for (const thing of things.toSorted((a, b) => a.usedMs - b.usedMs)) {
    if (keepBytes !== undefined && left <= keepBytes) break
    if (thing.usedMs >= usedBeforeMs || !filters.takes(thing)) continue
    chosen.push(thing)
    left -= thing.bytes
  }
  return chosen
}

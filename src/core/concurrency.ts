// Bounded concurrency: the only way to do many things at once here.

/**
 * Maps items with at most `limit` calls under way; results keep the order of the items. After a failure no new call
 * starts; those under way are waited for, since what they use may be undone next, and the first failure is thrown.
 */
export async function mapConcurrent<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  const failures: unknown[] = []
  const entries = items.entries()
  const worker = async (): Promise<void> => {
    // The iterator is shared: each worker takes the next item that nobody has.
    for (const [index, item] of entries) {
      try {
        results[index] = await map(item, index)
      } catch (error) {
        failures.push(error)
      }
      if (failures.length > 0) return
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  if (failures.length > 0) throw failures[0]
  return results
}

/** A bounded number of places for work that is started from many sides. */
export interface Slots {
  /** Waits for a place, in order of arrival, and works in it. @throws what the work throws; the signal's reason while waiting */
  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>
}

/** Slots for at most `limit` works at once. */
export function createSlots(limit: number): Slots {
  let free = limit
  const waiting: (() => void)[] = []
  return {
    async run(work, signal) {
      if (free > 0) free--
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        signal?.throwIfAborted()
        return await work()
      } finally {
        const next = waiting.shift()
        if (next === undefined) free++
        else next()
      }
    },
  }
}

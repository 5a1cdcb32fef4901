// Tells how many bytes have passed, not oftener than anybody can read.

import type { Emit } from '../core/events.ts'

const leastMs = 100

export interface ByteProgress {
  add(bytes: number): void
}

/** Progress of a step whose total nobody knows. */
export function byteProgress(emit: Emit, id: string): ByteProgress {
  let done = 0
  let toldMs = performance.now()
  return {
    add(bytes) {
      done += bytes
      const nowMs = performance.now()
      if (nowMs - toldMs < leastMs) return
      toldMs = nowMs
      emit({ kind: 'step-progress', id, done, unit: 'bytes' })
    },
  }
}

/** The same bytes, told as they pass. */
export async function* tellBytes(
  bytes: AsyncIterable<Uint8Array>,
  progress: ByteProgress,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    progress.add(chunk.byteLength)
    yield chunk
  }
}

// How far a transfer is: bytes, and how fast they came lately, not oftener than anybody can read.

import type { Emit } from '../core/events.ts'

const leastMs = 100
/** Rates are over this time, so that a pause shows and a hiccup does not. */
const windowMs = 3000

/** Of an unknown total where it is undefined. Call it with the bytes that are done; less than before means that a part is sent again. */
export function transferProgress(
  emit: Emit,
  { id, total }: { readonly id: string; readonly total: number | undefined },
): (done: number) => void {
  const samples = [{ atMs: performance.now(), done: 0 }]
  let toldMs = 0
  return done => {
    const nowMs = performance.now()
    if (nowMs - toldMs < leastMs && done < (total ?? Number.POSITIVE_INFINITY)) return
    toldMs = nowMs
    const [oldest] = samples
    const elapsedMs = nowMs - (oldest?.atMs ?? nowMs)
    const bytes = done - (oldest?.done ?? 0)
    const bytesPerSecond =
      elapsedMs >= leastMs && bytes > 0 ? Math.round((bytes * 1000) / elapsedMs) : undefined
    samples.push({ atMs: nowMs, done })
    while (samples.length > 2 && nowMs - (samples[0]?.atMs ?? nowMs) > windowMs) samples.shift()
    emit({ kind: 'step-progress', id, done, total, unit: 'bytes', bytesPerSecond })
  }
}

/** The same chunks; `onProgress` hears how many bytes have passed. */
export async function* tellChunks(
  source: AsyncIterable<Uint8Array>,
  onProgress: (done: number) => void,
): AsyncGenerator<Uint8Array> {
  let done = 0
  for await (const chunk of source) {
    done += chunk.byteLength
    onProgress(done)
    yield chunk
  }
}

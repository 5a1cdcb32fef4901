// Output on its way to a descriptor whose reader may be slow: who produces it goes on, and what waits is in memory, up to a
// bound. Writing happens beside the event loop, so that signals and input are not held up.

import { write } from 'node:fs'
import { hasErrno } from '../core/errors.ts'

export interface OutputQueue {
  /** Takes the bytes; resolves at once unless too much is waiting. */
  push(bytes: Uint8Array): Promise<void>
  /** Resolves when all is written. */
  drained(): Promise<void>
}

const mostWaitingBytes = 64 * 1024 * 1024
const fullPauseMs = 5

/** A reader that went away is no failure: what follows is dropped. */
export function outputQueue(fd: number): OutputQueue {
  let waitingBytes = 0
  let isGone = false
  let last: Promise<void> = Promise.resolve()
  const writeAll = async (bytes: Uint8Array): Promise<void> => {
    for (let rest = bytes; rest.length > 0 && !isGone; ) {
      const written = await writeSome(fd, rest)
      if (written === undefined) isGone = true
      else rest = rest.subarray(written)
    }
    waitingBytes -= bytes.length
  }
  return {
    async push(bytes) {
      waitingBytes += bytes.length
      const before = last
      last = before.then(() => writeAll(bytes))
      if (waitingBytes > mostWaitingBytes) await last
    },
    drained: async () => {
      await last
    },
  }
}

/** How much was written; undefined where nobody reads any more. */
async function writeSome(fd: number, bytes: Uint8Array): Promise<number | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<number | undefined>()
  write(fd, bytes, (error, written) => {
    if (error === null) return resolve(written)
    if (hasErrno(error, 'EPIPE', 'EIO')) return resolve(undefined)
    if (!hasErrno(error, 'EAGAIN', 'EINTR')) return reject(error)
    // Somebody else made the descriptor non-blocking, and it is full.
    setTimeout(() => resolve(0), fullPauseMs)
  })
  return await promise
}

// Writes to a file on the thread pool while the caller makes the next bytes: packing and unpacking share two cores with
// the copying into the page cache, which takes a quarter of an import's time.

import { write } from 'node:fs'
import { promisify } from 'node:util'

const writeAt = promisify(write)

/** Writes under way at most; each holds one chunk. */
export const mostUnderWay = 4

export interface WriteBehind extends AsyncDisposable {
  /** Takes a chunk, which must not change afterwards; waits where too much is under way. @throws the error of an earlier write */
  write(chunk: Uint8Array): Promise<void>
  /** Waits until everything is written. @throws the error of the first write that failed */
  settle(): Promise<void>
}

/** Appends from an offset on, by default the start. Disposing waits, so that the descriptor may be closed afterwards. */
export function writeBehind(fd: number, startAt = 0): WriteBehind {
  const underWay: Promise<void>[] = []
  let offset = startAt
  const settle = async (): Promise<void> => {
    await Promise.all(underWay)
  }
  return {
    async write(chunk) {
      if (underWay.length >= mostUnderWay) await underWay.shift()
      const writing = writeFully(fd, chunk, offset)
      // Whoever waits for it sees the failure; until then it must not count as unhandled.
      writing.catch(() => {})
      underWay.push(writing)
      offset += chunk.byteLength
    },
    settle,
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(underWay)
    },
  }
}

async function writeFully(fd: number, chunk: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < chunk.byteLength; ) {
    const { bytesWritten } = await writeAt(fd, chunk, at, chunk.byteLength - at, offset + at)
    at += bytesWritten
  }
}

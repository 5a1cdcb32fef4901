// Writes a source to a stream at the stream's pace.

import type { Writable } from 'node:stream'

/** Resolves when the stream takes more, or never will: drained, ended or closed. Never rejects. */
export async function untilDrained(stream: Writable): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return
  const events = ['drain', 'end', 'close', 'error'] as const
  await new Promise<void>(resolve => {
    const done = (): void => {
      for (const event of events) stream.removeListener(event, done)
      resolve()
    }
    for (const event of events) stream.on(event, done)
  })
}

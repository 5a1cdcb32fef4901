// Events as they are, one JSON value on a line, for programs that watch.

import type { Renderer } from '../progress.ts'

/** Writes each event at once. */
export function jsonLines(write: (text: string) => void): Renderer {
  return {
    show: event => write(`${JSON.stringify(event)}\n`),
    end: async () => {},
  }
}

// A container's output as lines.

import type { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'

/** A program that never ends its line must not fill the memory. */
const longestLine = 64 * 1024

/** Calls `onLine` for each line as it comes, without its line break; a line over 64 KiB comes in pieces. */
export async function readLines(stream: Readable, onLine: (line: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  for await (const chunk of stream) {
    const lines = (rest + decoder.write(chunk as Buffer)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) onLine(line.endsWith('\r') ? line.slice(0, -1) : line)
    for (; rest.length > longestLine; rest = rest.slice(longestLine))
      onLine(rest.slice(0, longestLine))
  }
  rest += decoder.end()
  if (rest !== '') onLine(rest)
}

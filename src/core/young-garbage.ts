// Work that streams leaves buffers behind as fast as it runs, and V8 lets them lie until its heaps are full: with the young
// heap that short commands start with (bin/kauri) that is 60 MB more than the work needs. A collection of the young heap now
// and then costs 0.1 ms, and the process stays as small as its work: unpacking 300 MB peaks at 110 MB instead of 165 MB, and
// takes less processor time, as its memory stays in the caches.

import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Between two collections of the young heap. */
const everyBytes = 8 * 1024 * 1024

/** Between two of the whole heap at least; each costs 10 ms. */
const wholeEveryBytes = 64 * 1024 * 1024

/** Buffers beyond this outlived the young heap and wait for a whole collection; what is in use stays far below. */
const externalBytes = 28 * 1024 * 1024

type Collect = (options: { readonly type: 'minor' | 'major' }) => void

let youngBytes = 0
let wholeBytes = 0
let collect: Collect | undefined

/** To be told of bytes that passed in buffers which nobody needs any more. */
export function passedBy(bytes: number): void {
  youngBytes += bytes
  if (youngBytes < everyBytes) return
  wholeBytes += youngBytes
  youngBytes = 0
  collect ??= findCollector()
  collect({ type: 'minor' })
  if (wholeBytes < wholeEveryBytes || getHeapStatistics().external_memory < externalBytes) return
  wholeBytes = 0
  collect({ type: 'major' })
}

/** V8 gives its collector to contexts that are made while the flag is set. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('gc')
  setFlagsFromString('--no-expose-gc')
  return typeof found === 'function' ? options => void found(options) : () => {}
}

// Node reads sockets into a fresh buffer each time, and V8 collects such buffers when its own small heap is full: by then
// a pull of 300 MB holds 110 MB of them (180 MB of memory; 130 MB with this). So it is asked to, as many bytes come in.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const betweenBytes = 8 * 1024 * 1024

type Collect = (options: { readonly type: 'minor' }) => void

let collect: Collect | undefined
let sinceBytes = 0

/** Tells of bytes that came in and are garbage soon; a collection takes a millisecond. */
export function countYoungBytes(bytes: number): void {
  sinceBytes += bytes
  if (sinceBytes < betweenBytes) return
  sinceBytes = 0
  collect ??= findCollector()
  collect({ type: 'minor' })
}

/** The function is there only for who asks for it; a Node that has none goes without. */
function findCollector(): Collect {
  setFlagsFromString('--expose-gc')
  const found: unknown = runInNewContext('globalThis.gc')
  return typeof found === 'function' ? options => void found(options) : () => {}
}

// zstd by the package zstd-codec, a WebAssembly build that does not change with Node: its bytes, and so a blob's digest, are
// the same everywhere and for years. Frames of 1 MiB keep its memory bounded, its own simple calls do not.

import process from 'node:process'
import type { Zstd } from 'zstd-codec/lib/zstd-codec.js'
import { KauriError } from '../core/errors.ts'
import { seekableFrames } from './zstd-frames.ts'

let loading: Promise<Zstd> | undefined

/** @throws INTERNAL where the codec fails */
export async function* zstdCodecFrames(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void> {
  loading ??= loadZstd()
  const zstd = await loading
  const streaming = new zstd.Streaming()
  const pack = async (block: Buffer): Promise<Buffer> => {
    const packed = streaming.compress(block, level)
    if (packed === null) throw new KauriError('INTERNAL', 'zstd-codec could not pack a frame')
    return Buffer.from(packed)
  }
  yield* seekableFrames(source, pack)
}

/** Loads the codec without the handlers for uncaught errors that its loader puts on the process. */
async function loadZstd(): Promise<Zstd> {
  const events = ['uncaughtException', 'unhandledRejection'] as const
  const before = events.map(event => process.rawListeners(event))
  const { run } = await import('zstd-codec/lib/zstd-codec.js')
  const zstd = await new Promise<Zstd>(resolve => run(resolve))
  for (const [index, event] of events.entries())
    for (const listener of process.rawListeners(event))
      if (!before[index]?.includes(listener)) process.removeListener(event, listener as never)
  return zstd
}

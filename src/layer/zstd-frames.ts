// zstd as independent frames of 1 MiB each (RFC 8878: a file may be many frames), each with its size in its header. Costs
// 0.4 % of size against one frame.

import { constants, type ZstdOptions, zstdCompress } from 'node:zlib'
import { packBlocks } from './block-pipeline.ts'

const frameBytes = 1024 * 1024

/** What `kauri` and docker's zstd mean by no level. */
export const zstdDefaultLevel = 3

/** @throws nothing of its own; errors of the source pass */
export async function* zstdFrames(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void> {
  const options: ZstdOptions = {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    // Room for most packed frames in one trip to the thread pool, without much garbage.
    chunkSize: 512 * 1024,
  }
  const pack = (block: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      zstdCompress(block, { ...options, pledgedSrcSize: block.length }, (error, packed) => {
        if (error === null) resolve(packed)
        else reject(error)
      })
    })
  let isEmpty = true
  for await (const frame of packBlocks(source, { blockBytes: frameBytes, overlapBytes: 0 }, pack)) {
    isEmpty = false
    yield frame
  }
  // No bytes at all are one empty frame, which every reader takes.
  if (isEmpty) yield await pack(Buffer.alloc(0))
}

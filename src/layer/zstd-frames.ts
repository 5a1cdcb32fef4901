// zstd as independent frames of 1 MiB each (RFC 8878: a file may be many frames), each with its size in its header, and a seek
// table behind them. Costs 0.4 % of size against one frame.

import { constants, type ZstdOptions, zstdCompress } from 'node:zlib'
import { packBlocks } from './block-pipeline.ts'
import { formatSeekTable, type ZstdFrameSizes } from './zstd-seek-table.ts'

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
  yield* seekableFrames(source, pack)
}

/** Frames that a packer makes of blocks of 1 MiB, and their seek table. No bytes at all are one empty frame, which every reader takes. */
export async function* seekableFrames(
  source: AsyncIterable<Uint8Array>,
  pack: (block: Buffer) => Promise<Buffer>,
): AsyncGenerator<Buffer, void> {
  const sizes: number[] = []
  const packBlock = async (block: Buffer): Promise<Buffer> => {
    sizes.push(block.length)
    return await pack(block)
  }
  const frames: ZstdFrameSizes[] = []
  for await (const frame of packBlocks(
    source,
    { blockBytes: frameBytes, overlapBytes: 0 },
    packBlock,
  )) {
    frames.push({ packedBytes: frame.length, bytes: sizes[frames.length] ?? 0 })
    yield frame
  }
  if (frames.length === 0) {
    const frame = await pack(Buffer.alloc(0))
    frames.push({ packedBytes: frame.length, bytes: 0 })
    yield frame
  }
  yield formatSeekTable(frames)
}

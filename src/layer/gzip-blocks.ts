// gzip in blocks of 512 KiB that know the 32 KiB before them, as pigz makes it: one member, hardly larger than from one
// stream (RFC 1952, RFC 1951). Blocks end with an empty stored block, so that they can be put together.

import { constants, crc32, deflateRaw, type ZlibOptions } from 'node:zlib'
import { packBlocks } from './block-pipeline.ts'

const blockBytes = 512 * 1024

/** deflate's window. */
const overlapBytes = 32 * 1024

/** What gzip(1) and docker mean by no level. */
export const gzipDefaultLevel = 6

/** Magic, deflate, no flags, no time, no hint at the level, Unix. */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])

/** A last block of nothing in deflate's fixed code. */
const lastBlock = Buffer.from([3, 0])

/** @throws nothing of its own; errors of the source pass */
export async function* gzipBlocks(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void> {
  let checksum = 0
  let size = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      checksum = crc32(chunk, checksum)
      size += chunk.length
      yield chunk
    }
  }
  yield header
  yield* packBlocks(counted(), { blockBytes, overlapBytes }, (block, before) =>
    deflateBlock(block, before, level),
  )
  const trailer = Buffer.alloc(8)
  trailer.writeUInt32LE(checksum, 0)
  trailer.writeUInt32LE(size % 2 ** 32, 4)
  yield Buffer.concat([lastBlock, trailer])
}

function deflateBlock(block: Buffer, before: Buffer, level: number): Promise<Buffer> {
  const options: ZlibOptions = {
    level,
    finishFlush: constants.Z_SYNC_FLUSH,
    chunkSize: 256 * 1024,
    ...(before.length === 0 ? {} : { dictionary: before }),
  }
  return new Promise((resolve, reject) => {
    deflateRaw(block, options, (error, packed) => {
      if (error === null) resolve(packed)
      else reject(error)
    })
  })
}

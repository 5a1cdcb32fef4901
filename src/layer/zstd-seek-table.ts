// The seek table of the zstd seekable format 0.1.0 (facebook/zstd contrib/seekable_format/zstd_seekable_compression_format.md): a
// skippable frame at the end of the data that tells the sizes of all frames, packed and not. Decoders that do not know it
// skip it (RFC 8878 section 3.1.2); those that do find any byte of the data without unpacking what is before it.

import { KauriError } from '../core/errors.ts'

/** Sizes of one frame in bytes. */
export interface ZstdFrameSizes {
  readonly packedBytes: number
  readonly bytes: number
}

const skippableMagic = 0x184d2a5e
const seekableMagic = 0x8f92eab1
const headerBytes = 8
const entryBytes = 8
const footerBytes = 9
/** Set where each entry has a checksum behind its sizes. */
const checksumFlag = 0x80
/** Bits of the descriptor that a reader must refuse, as they mean something that it does not know. */
const reservedBits = 0x7c
/** The format's own limit. */
const mostFrames = 0x8000000

/** The frame to append. */
export function formatSeekTable(frames: readonly ZstdFrameSizes[]): Buffer {
  const table = Buffer.alloc(headerBytes + entryBytes * frames.length + footerBytes)
  table.writeUInt32LE(skippableMagic, 0)
  table.writeUInt32LE(table.length - headerBytes, 4)
  for (const [index, { packedBytes, bytes }] of frames.entries()) {
    table.writeUInt32LE(packedBytes, headerBytes + entryBytes * index)
    table.writeUInt32LE(bytes, headerBytes + entryBytes * index + 4)
  }
  const footer = table.length - footerBytes
  table.writeUInt32LE(frames.length, footer)
  table.writeUInt32LE(seekableMagic, footer + 5)
  return table
}

/** Reads bytes of the packed data; exactly `length` of them. */
export type ReadPacked = (offset: number, length: number) => Promise<Buffer>

/** The table at the end of packed data of `size` bytes; undefined where there is none. @throws ARCHIVE_INVALID for a broken one */
export async function readSeekTable(
  read: ReadPacked,
  size: number,
): Promise<readonly ZstdFrameSizes[] | undefined> {
  if (size < headerBytes + footerBytes) return undefined
  const footer = await read(size - footerBytes, footerBytes)
  if (footer.readUInt32LE(5) !== seekableMagic) return undefined
  const count = footer.readUInt32LE(0)
  const descriptor = footer.readUInt8(4)
  const width = entryBytes + ((descriptor & checksumFlag) === 0 ? 0 : 4)
  const tableBytes = headerBytes + width * count + footerBytes
  if ((descriptor & reservedBits) !== 0 || count > mostFrames || tableBytes > size) throw broken()
  const table = await read(size - tableBytes, tableBytes)
  if (
    table.readUInt32LE(0) !== skippableMagic ||
    table.readUInt32LE(4) !== tableBytes - headerBytes
  )
    throw broken()
  const frames = Array.from({ length: count }, (_, index) => ({
    packedBytes: table.readUInt32LE(headerBytes + width * index),
    bytes: table.readUInt32LE(headerBytes + width * index + 4),
  }))
  const packed = frames.reduce((sum, { packedBytes }) => sum + packedBytes, 0)
  if (packed !== size - tableBytes) throw broken()
  return frames
}

function broken(): KauriError {
  return new KauriError('ARCHIVE_INVALID', 'the seek table of zstd data is broken')
}

// Parts of zstd data that has a seek table, without unpacking what is before them: only the frames that hold the part are read.
//
// Unpacking whole layers does not go this way: Node's streaming engine works beside the thread that writes files, and on two
// processors frames side by side took a fifth more processor time and 20 MB for no gain (300 MB in 290 frames).

import { zstdDecompress } from 'node:zlib'
import { KauriError } from '../core/errors.ts'
import { type ReadPacked, readSeekTable, type ZstdFrameSizes } from './zstd-seek-table.ts'

/** Packed data that can be sought. */
export interface SeekableZstd {
  /** Of the unpacked data. */
  readonly bytes: number
  /** A part of the unpacked data. @throws ARCHIVE_INVALID where frames are not what the table says; RangeError beyond the end */
  read(offset: number, length: number): Promise<Buffer>
}

/** Larger frames than anybody makes in order to seek in them; they bound the memory of a read. */
const mostFrameBytes = 64 * 1024 * 1024

/** undefined where the data has no seek table. @throws ARCHIVE_INVALID for a broken one */
export async function openSeekableZstd(
  readPacked: ReadPacked,
  size: number,
): Promise<SeekableZstd | undefined> {
  const frames = await readSeekTable(readPacked, size)
  if (frames === undefined) return undefined
  const places = placesOf(frames)
  const bytes = frames.reduce((sum, frame) => sum + frame.bytes, 0)
  return {
    bytes,
    async read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > bytes)
        throw new RangeError(`${offset} and ${length} bytes behind it are not in ${bytes} bytes`)
      const parts: Buffer[] = []
      for (const place of placesWithin(places, offset, length)) {
        const unpacked = await unpackFrame(
          await readPacked(place.packedAt, place.packedBytes),
          place,
        )
        const from = Math.max(0, offset - place.at)
        parts.push(unpacked.subarray(from, Math.min(place.bytes, offset + length - place.at)))
      }
      return Buffer.concat(parts)
    },
  }
}

/** A frame, and where it begins packed and unpacked. */
interface FramePlace extends ZstdFrameSizes {
  readonly packedAt: number
  readonly at: number
}

function placesOf(frames: readonly ZstdFrameSizes[]): readonly FramePlace[] {
  let packedAt = 0
  let at = 0
  return frames.map(frame => {
    const place = { ...frame, packedAt, at }
    packedAt += frame.packedBytes
    at += frame.bytes
    return place
  })
}

/** The frames that hold a part, found by halves. */
function placesWithin(
  places: readonly FramePlace[],
  offset: number,
  length: number,
): readonly FramePlace[] {
  let low = 0
  for (let high = places.length; low < high; ) {
    const middle = (low + high) >>> 1
    const { at = 0, bytes = 0 } = places[middle] ?? {}
    if (at + bytes <= offset) low = middle + 1
    else high = middle
  }
  let end = low
  while ((places[end]?.at ?? Number.POSITIVE_INFINITY) < offset + length) end++
  return places.slice(low, end)
}

async function unpackFrame(packed: Buffer, { bytes }: FramePlace): Promise<Buffer> {
  if (bytes > mostFrameBytes) throw broken()
  return await new Promise((resolve, reject) => {
    // Room for the frame and a bit more: a full buffer makes zlib fetch a second one.
    const options = { maxOutputLength: bytes + 1, chunkSize: bytes + 1024 }
    zstdDecompress(packed, options, (error, unpacked) => {
      if (error === null && unpacked.length === bytes) resolve(unpacked)
      else reject(broken(error ?? undefined))
    })
  })
}

function broken(cause?: Error): KauriError {
  return new KauriError('ARCHIVE_INVALID', 'a frame of zstd data is not what the seek table says', {
    cause,
  })
}

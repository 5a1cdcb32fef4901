// A file's bytes as a tar holds them: padded to whole blocks, holes as zeros that nobody reads from the disk.

import { closeSync, constants, fstatSync, readSync } from 'node:fs'
import { KauriError } from '../core/errors.ts'
import { native } from '../native/native.ts'
import type { Chunks, ChunkWriter } from './chunk-writer.ts'
import type { Segment } from './sparse-map.ts'
import { paddedSize } from './tar-header.ts'
import type { WalkedEntry } from './tree-walk.ts'

/** Files up to this size are read in one call, which five calls for each would cost most of the time of small ones. */
const wholeBytes = 64 * 1024

/** @throws SNAPSHOT_INVALID where the file is not as long any more as the walk saw it */
export function* fileChunks(writer: ChunkWriter, walked: WalkedEntry): Chunks {
  const { directoryFd, name, stat } = walked
  if (stat.size <= wholeBytes && stat.size <= writer.room) {
    yield* writer.writeWith(free => {
      const got = native().readFileAt(directoryFd, name, free.subarray(0, stat.size))
      if (got !== stat.size) throw changed(walked)
      return got
    })
    yield* writer.writeZeros(paddedSize(stat.size) - stat.size)
    return
  }
  // A name that became a fifo meanwhile must not block.
  const fd = native().openAt(directoryFd, name, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    let done = 0
    for (const { offset, length } of dataOf(fd, stat)) {
      yield* writer.writeZeros(offset - done)
      for (done = offset; done < offset + length; ) {
        const left = offset + length - done
        let got = 0
        yield* writer.writeWith(free => {
          got = readSync(fd, free, 0, Math.min(free.length, left), done)
          return got
        })
        if (got === 0) throw changed(walked)
        done += got
      }
    }
    yield* writer.writeZeros(paddedSize(stat.size) - done)
    if (fstatSync(fd).size !== stat.size) throw changed(walked)
  } finally {
    closeSync(fd)
  }
}

function changed({ path }: WalkedEntry): KauriError {
  return new KauriError('SNAPSHOT_INVALID', `${path} changed its size while it was packed`, {
    hint: 'end what writes to the tree, then try again',
  })
}

/** Where the data of a file is: all of it, but for a sparse one. */
function dataOf(fd: number, { size, blocks }: WalkedEntry['stat']): Segment[] {
  if (blocks * 512 >= size) return [{ offset: 0, length: size }]
  const extents = native().dataExtents(fd)
  const data: Segment[] = []
  for (let i = 0; i + 1 < extents.length; i += 2) {
    const offset = extents[i] ?? 0
    const length = Math.min(extents[i + 1] ?? 0, size - offset)
    if (length > 0) data.push({ offset, length })
  }
  return data
}

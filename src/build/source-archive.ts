// Whether a file is an archive that ADD unpacks: a tar, as it is or packed by gzip, bzip2, xz or zstd, told by its content.

import { fstatSync, read } from 'node:fs'
import { promisify } from 'node:util'
import { hasErrno, KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { defaultArchiveLimits } from '../layer/layer.ts'
import { TarReader } from '../layer/tar-reader.ts'

const readAsync = promisify(read)
const chunkBytes = 128 * 1024

/** The bytes of an open file from its start; the descriptor stays the caller's. */
export async function* readFrom(fd: number): AsyncGenerator<Uint8Array> {
  for (let position = 0; ; ) {
    const buffer = Buffer.allocUnsafe(chunkBytes)
    const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, position)
    if (bytesRead === 0) return
    position += bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}

/** Headers before the first entry are bounded, so what begins with more than this is none. */
const mostBytesBefore = 4 * 1024 * 1024

/** True where the first entry of a tar comes out of the open file, from its start; the descriptor stays the caller's. */
export async function isArchive(fd: number, signal?: AbortSignal): Promise<boolean> {
  if (fstatSync(fd).size === 0) return false
  let hasEntry = false
  const reader = new TarReader(
    { onEntry: () => (hasEntry = true), onData() {}, onEntryEnd() {} },
    { archive: 'the archive', limits: defaultArchiveLimits },
  )
  try {
    const { bytes } = await decompress(readFrom(fd), { signal })
    let readBytes = 0
    for await (const chunk of bytes) {
      reader.write(chunk)
      readBytes += chunk.length
      if (hasEntry || readBytes > mostBytesBefore) return hasEntry
    }
    return false
  } catch (error) {
    if (hasEntry) return true
    // What is no archive is copied as it is.
    if (error instanceof KauriError && error.code !== 'CANCELLED') return false
    if (hasErrno(error, 'EISDIR')) return false
    throw error
  }
}

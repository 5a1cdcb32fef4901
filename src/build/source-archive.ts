// Whether a file is an archive that ADD unpacks: a tar, as it is or packed by gzip, bzip2, xz or zstd, told by its content.

import { createReadStream, fstatSync } from 'node:fs'
import { hasErrno, KauriError } from '../core/errors.ts'
import { decompress } from '../layer/decompress.ts'
import { defaultArchiveLimits } from '../layer/layer.ts'
import { TarReader } from '../layer/tar-reader.ts'

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
    const packed = createReadStream('', { fd, start: 0, autoClose: false })
    const { bytes } = await decompress(packed, { signal })
    let read = 0
    for await (const chunk of bytes) {
      reader.write(chunk)
      read += chunk.length
      if (hasEntry || read > mostBytesBefore) return hasEntry
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

// How long the tar of a stored layer is, as its packed bytes tell: zstd data with a seek table names the sizes of its frames.
// A table can lie; who writes the tar then finds more or fewer bytes than were announced, and fails.

import { type FileHandle, open } from 'node:fs/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { openSeekableZstd } from '../layer/seekable-zstd.ts'
import type { Descriptor } from '../oci/descriptor.ts'

const blockBytes = 512
/** A tar ends with two blocks of zeros. */
const endBytes = 2 * blockBytes

/** Bytes of the tar; undefined where nothing tells, or the end does not look like that of a tar. */
export async function toldTarLength(
  blobFile: string,
  { size }: Pick<Descriptor, 'size'>,
): Promise<number | undefined> {
  try {
    await using file = await open(blobFile)
    const seekable = await openSeekableZstd((offset, length) => readAt(file, offset, length), size)
    if (seekable === undefined || seekable.bytes < endBytes) return undefined
    const end = await seekable.read(seekable.bytes - endBytes, endBytes)
    return seekable.bytes % blockBytes === 0 && end.every(byte => byte === 0)
      ? seekable.bytes
      : undefined
  } catch (error) {
    // Reading the layer says it better.
    if (error instanceof KauriError || hasErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, offset)
  if (bytesRead === length) return buffer
  throw new KauriError('BLOB_CORRUPT', `a blob is shorter than ${offset + length} bytes`)
}

// A build context that comes as a tar: unpacked into a directory of the build's own. Strangers wrote it, so nothing of it
// may land outside.

import { closeSync, constants, mkdirSync, openSync } from 'node:fs'
import { applyTar } from '../layer/apply-tar.ts'
import { packedFormatOf } from '../layer/compression-magic.ts'
import { decompress } from '../layer/decompress.ts'
import { blockSize, decodeHeader, HeaderError, isZeroBlock } from '../layer/tar-header.ts'
import { oPath } from '../native/in-root.ts'

/** So many bytes at the beginning tell an archive from a Dockerfile. */
export const archiveStartBytes: number = blockSize

/** True for the beginning of a tar, packed or not. */
export function isArchiveStart(start: Buffer): boolean {
  return packedFormatOf(start) !== 'none' || isTarStart(start)
}

/** A header with its own checksum, or the end that an empty tar begins with. */
function isTarStart(start: Buffer): boolean {
  if (start.length < blockSize) return false
  const block = start.subarray(0, blockSize)
  try {
    return isZeroBlock(block) || decodeHeader(block) !== undefined
  } catch (error) {
    if (error instanceof HeaderError) return false
    throw error
  }
}

export interface UnpackOptions {
  /** What messages call the archive. */
  readonly name: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Unpacks a tar, whatever it is packed with, into a directory that is made. The result is the newest time of an entry, in
 * seconds since 1970. @throws ARCHIVE_INVALID, DISK_FULL, CANCELLED */
export async function unpackContext(
  bytes: AsyncIterable<Uint8Array>,
  directory: string,
  { name, signal }: UnpackOptions,
): Promise<number> {
  mkdirSync(directory, { mode: 0o755 })
  const rootFd = openSync(directory, oPath | constants.O_DIRECTORY)
  try {
    const tar = await decompress(bytes, { name, signal })
    const whole = { name, signal, whiteouts: 'ordinary', ownership: 'root' } as const
    return (await applyTar(tar.bytes, rootFd, whole)).newestMtimeSeconds
  } finally {
    closeSync(rootFd)
  }
}

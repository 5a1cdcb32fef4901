// The files of an image archive, and the tar that holds them: plain ustar with fixed times and owners, so that the same
// image gives the same archive.

import { KauriError } from '../core/errors.ts'
import { blockSize, encodeHeader, largestSize, paddedSize } from '../layer/tar-header.ts'

/** A file of an archive; its size is known before its bytes are. */
export interface ArchiveFile {
  /** Relative, at most 100 characters. */
  readonly name: string
  readonly size: number
  open(): AsyncIterable<Uint8Array>
}

/** A file whose bytes are at hand. */
export function documentFile(name: string, content: string | Uint8Array): ArchiveFile {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return {
    name,
    size: bytes.byteLength,
    async *open() {
      yield bytes
    },
  }
}

/** Where a layout keeps a blob. */
export function blobName(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`
}

/** The bytes of a tar with these files, directories first. @throws BLOB_CORRUPT where a file is not as long as it said */
export async function* tarOf(files: readonly ArchiveFile[]): AsyncGenerator<Uint8Array> {
  yield directoryHeaders()
  yield* tarBodyOf(files)
  yield archiveEnd()
}

/** The same without directories and end. */
export async function* tarBodyOf(files: readonly ArchiveFile[]): AsyncGenerator<Uint8Array> {
  for (const file of files) {
    yield fileHeader(file.name, file.size)
    let seen = 0
    for await (const chunk of file.open()) {
      seen += chunk.byteLength
      if (seen > file.size) break
      yield chunk
    }
    if (seen !== file.size)
      throw new KauriError('BLOB_CORRUPT', `${file.name} has other than ${file.size} bytes`)
    yield padding(file.size)
  }
}

const fixedFields = { uid: 0, gid: 0, mtime: 0, deviceMajor: 0, deviceMinor: 0 } as const

/** The directories that every image layout has. */
export function directoryHeaders(): Uint8Array {
  const block = Buffer.alloc(2 * blockSize)
  for (const [index, name] of ['blobs/', 'blobs/sha256/'].entries())
    encodeHeader(block, index * blockSize, {
      ...fixedFields,
      name: Buffer.from(name),
      linkName: Buffer.alloc(0),
      mode: 0o755,
      size: 0,
      typeFlag: '5',
    })
  return block
}

/** One file's header; sizes beyond 8 GiB are written in base 256, as GNU tar, Go and libarchive read it. */
export function fileHeader(name: string, size: number): Uint8Array {
  const block = Buffer.alloc(blockSize)
  const isLarge = size > largestSize
  encodeHeader(block, 0, {
    ...fixedFields,
    name: Buffer.from(name),
    linkName: Buffer.alloc(0),
    mode: 0o644,
    size: isLarge ? 0 : size,
    typeFlag: '0',
  })
  if (isLarge) writeLargeSize(block, size)
  return block
}

const sizeAt = 124
const sizeLength = 12
const checksumAt = 148

function writeLargeSize(block: Buffer, size: number): void {
  block.fill(0, sizeAt, sizeAt + sizeLength)
  block[sizeAt] = 0x80
  block.writeBigUInt64BE(BigInt(size), sizeAt + sizeLength - 8)
  block.fill(' ', checksumAt, checksumAt + 8)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, checksumAt, 'latin1')
}

/** Zeros up to the next header. */
export function padding(size: number): Uint8Array {
  return Buffer.alloc(paddedSize(size) - size)
}

export function archiveEnd(): Uint8Array {
  return Buffer.alloc(2 * blockSize)
}

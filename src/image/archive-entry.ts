// The files of an image archive, and the tar that holds them: plain ustar with fixed times and owners, so that the same
// image gives the same archive.

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Pack } from 'tar-stream'
import { KauriError } from '../core/errors.ts'

/** A file of an archive; its size is known before its bytes are. */
export interface ArchiveFile {
  /** Relative, at most 100 characters. */
  readonly name: string
  readonly size: number
  readonly open: () => AsyncIterable<Uint8Array>
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

const fixed = { uid: 0, gid: 0, mtime: new Date(0) } as const
const layoutDirectories = ['blobs/', 'blobs/sha256/']
const endBytes = 1024

/** Length of one entry's header. */
export const tarHeaderBytes = 512

/** Length of what stands before the first file. */
export const tarHeadBytes: number = layoutDirectories.length * tarHeaderBytes

/** The bytes of a tar with these files behind the directories of a layout. @throws BLOB_CORRUPT where a file is not as long as it said */
export function tarOf(files: readonly ArchiveFile[]): AsyncGenerator<Uint8Array> {
  return packed(layoutDirectories, files)
}

/** The end of such a tar, from these files on. */
export function tarTailOf(files: readonly ArchiveFile[]): AsyncGenerator<Uint8Array> {
  return packed([], files)
}

/** The beginning of such a tar, before its first file. */
export async function tarHead(): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(tarOf([]))
  return Buffer.concat(chunks).subarray(0, -endBytes)
}

/** The header of one file, for who writes the bytes behind it some other way. */
export async function tarHeader(name: string, size: number): Promise<Uint8Array> {
  const nothing = { name, size, open: () => Readable.from([]) }
  for await (const chunk of tarTailOf([nothing])) return chunk.subarray(0, tarHeaderBytes)
  throw new KauriError('INTERNAL', `no tar header for ${name}`)
}

/** Zeros up to the next header. */
export function padding(size: number): Uint8Array {
  return Buffer.alloc((tarHeaderBytes - (size % tarHeaderBytes)) % tarHeaderBytes)
}

async function* packed(
  directories: readonly string[],
  files: readonly ArchiveFile[],
): AsyncGenerator<Uint8Array> {
  const { pack } = await import('tar-stream')
  const tar = pack()
  const filling = fill(tar, directories, files).catch((error: Error) => tar.destroy(error))
  try {
    for await (const chunk of tar) if (chunk instanceof Uint8Array) yield chunk
  } finally {
    tar.destroy()
    await filling
  }
}

async function fill(
  tar: Pack,
  directories: readonly string[],
  files: readonly ArchiveFile[],
): Promise<void> {
  for (const name of directories) tar.entry({ ...fixed, name, mode: 0o755, type: 'directory' })
  for (const file of files) {
    const { name, size } = file
    const entry = tar.entry({ ...fixed, name, size, mode: 0o644, type: 'file' })
    await pipeline(exactly(file), entry)
  }
  tar.finalize()
}

/** A layer that is shorter or longer than its image says must not end up in an archive that looks whole. */
async function* exactly({ name, size, open }: ArchiveFile): AsyncGenerator<Uint8Array> {
  let seen = 0
  for await (const chunk of open()) {
    seen += chunk.byteLength
    if (seen > size) break
    yield chunk
  }
  if (seen !== size) throw new KauriError('BLOB_CORRUPT', `${name} has other than ${size} bytes`)
}

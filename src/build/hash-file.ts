// SHA-256 of files' contents, as 32 characters, one for each byte: hexadecimal would double what the index holds.

import { createHash, hash } from 'node:crypto'
import { read } from 'node:fs'
import { promisify } from 'node:util'
import { cancelled } from '../core/process.ts'
import { native } from '../native/native.ts'

/** Read in one go, at once; a promise for each small file would cost more than reading it (2,000 files: five times). */
export const smallFileBytes: number = 256 * 1024

let shared: Buffer | undefined

/** A file of up to `smallFileBytes` in an open directory; undefined where it is larger by now. Links are not followed. */
export function hashSmallFile(directoryFd: number, name: string): string | undefined {
  // One for all calls: they are synchronous.
  shared ??= Buffer.allocUnsafe(smallFileBytes)
  const size = native().readFileAt(directoryFd, name, shared)
  return size > smallFileBytes ? undefined : hash('sha256', shared.subarray(0, size), 'latin1')
}

const readAsync = promisify(read)
const chunkBytes = 1024 * 1024

/** An open file from its start. @throws CANCELLED */
export async function hashLargeFile(fd: number, signal?: AbortSignal): Promise<string> {
  const sha256 = createHash('sha256')
  const buffer = Buffer.allocUnsafe(chunkBytes)
  for (let position = 0; ; ) {
    if (signal?.aborted) throw cancelled(signal)
    const { bytesRead } = await readAsync(fd, buffer, 0, buffer.length, position)
    if (bytesRead === 0) return sha256.digest('latin1')
    sha256.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}

/** A text that may hold lone surrogates, such as what a link says. */
export function hashText(text: string): string {
  return hash('sha256', Buffer.from(text, 'utf16le'), 'latin1')
}

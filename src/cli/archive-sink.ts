// Where commands write an archive: into a file that appears whole, or down a pipe.

import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import { KauriError } from '../core/errors.ts'
import type { CommandContext } from './command.ts'

export interface ArchiveSink {
  /** Undefined: standard output, which must not be a terminal. */
  readonly output: string | undefined
  /** What messages call it. */
  readonly what: 'archive' | 'tar'
}

/** @throws USAGE on a terminal or for a directory; DISK_FULL, PROCESS_FAILED where nobody reads any more, CANCELLED */
export async function writeArchiveTo(
  { output, what }: ArchiveSink,
  bytes: AsyncIterable<Uint8Array>,
  { signal, endProgress }: CommandContext,
): Promise<void> {
  const { asWriteFailure, writeArchive } = await import('../image/archive-output.ts')
  if (output !== undefined) return await writeArchive(output, bytes, signal)
  if (process.stdout.isTTY)
    throw new KauriError('USAGE', 'standard output is a terminal', {
      hint: `name a file with --output, or pipe the ${what} somewhere`,
    })
  await endProgress()
  try {
    await pipeline(bytes, process.stdout, { signal, end: false })
  } catch (error) {
    throw asWriteFailure(error, 'standard output')
  }
}

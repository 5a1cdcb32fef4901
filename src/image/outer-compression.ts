// What is wrapped around a whole archive: nothing, gzip or zstd by kauri's own codecs, xz by the system's program.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { compress } from '../layer/compression.ts'

export interface OuterCompression {
  readonly codec: 'none' | 'gzip' | 'zstd' | 'xz'
  readonly level?: number
}

/** The suffix of a compressed archive's name, with its dot. */
export const outerSuffix: Readonly<Record<OuterCompression['codec'], string>> = {
  none: '',
  gzip: '.gz',
  zstd: '.zst',
  xz: '.xz',
}

/** The compressed bytes; equal input gives equal output. @throws PREREQUISITE_MISSING without xz, USAGE for a level that the codec lacks */
export function compressArchive(
  source: AsyncIterable<Uint8Array>,
  { codec, level }: OuterCompression,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  if (codec === 'xz') return throughXz(source, level, signal)
  return compress(source, { codec, ...(level === undefined ? {} : { level }) }, signal)
}

/**
 * Two threads always: with one, xz writes a single block and other bytes. An abort ends xz; when kauri is killed its pipe
 * is closed, and xz ends by itself.
 */
async function* throughXz(
  source: AsyncIterable<Uint8Array>,
  level: number | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  if (level !== undefined && (!Number.isInteger(level) || level < 0 || level > 9))
    throw new KauriError('USAGE', `xz has no level ${level}`, { hint: 'take one from 0 to 9' })
  const child = spawn('xz', ['--compress', '--stdout', '--threads=2', `-${level ?? 6}`], {
    env: { PATH: process.env['PATH'] },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  const fed = pipeline(Readable.from(source, { objectMode: false }), child.stdin)
  // Both are awaited below; until then a failure must not count as unhandled.
  ended.catch(() => {})
  fed.catch(() => {})
  const kill = (): void => void child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  try {
    for await (const chunk of child.stdout) yield chunk
    await Promise.all([fed, ended])
    if (child.exitCode !== 0)
      throw new KauriError('PROCESS_FAILED', `xz ended with ${child.exitCode ?? child.signalCode}`)
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    if (hasErrno(error, 'ENOENT'))
      throw new KauriError('PREREQUISITE_MISSING', 'the program xz is not installed', {
        hint: 'apt-get install xz-utils',
        cause: error,
      })
    throw error
  } finally {
    kill()
    signal?.removeEventListener('abort', kill)
  }
}

// Unpacks bytes whatever they are packed with, found by their first bytes and never by a name. What comes out is bounded by
// what went in.

import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { passedBy } from '../core/young-garbage.ts'
import { magicBytes, type PackedFormat, packedFormatOf } from './compression-magic.ts'
import { decompressByEngine } from './engine-decompressor.ts'
import { type ArchiveLimits, defaultArchiveLimits } from './layer.ts'

export type { PackedFormat } from './compression-magic.ts'

/** What bounds the unpacking, and what errors say. */
export interface DecompressOptions {
  /** What messages call the archive; by default `the archive`. */
  readonly name?: string | undefined
  readonly limits?: Pick<ArchiveLimits, 'maxTotalBytes' | 'maxRatio' | 'ratioFreeBytes'> | undefined
  readonly signal?: AbortSignal | undefined
}

/** What was found, and the way to the bytes. */
export interface Decompressed {
  readonly format: PackedFormat
  /** Once reading has begun, its end, early or not, ends the source and any program, too. */
  readonly bytes: AsyncIterable<Uint8Array>
}

/**
 * Reads the first bytes and says what the packing is. The bytes fail with ARCHIVE_INVALID where they are broken, cut short
 * or followed by something else, and where they grow beyond the limits.
 * @throws what the source throws
 */
export async function decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): Promise<Decompressed> {
  const { name = 'the archive', limits = defaultArchiveLimits, signal } = options
  const { start, whole } = await peek(source)
  const format = packedFormatOf(start)
  const counter = { packedBytes: 0 }
  const counted = countPacked(whole, counter, signal)
  const bytes = unpack(counted, format, name)
  return { format, bytes: bounded(bytes, { counter, limits, name, signal }) }
}

async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ start: Buffer; whole: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]()
  const first: Uint8Array[] = []
  let start = Buffer.alloc(0)
  while (start.length < magicBytes) {
    const { done, value } = await iterator.next()
    if (done) break
    first.push(Buffer.from(value))
    start = Buffer.concat([start, value.subarray(0, magicBytes - start.length)])
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* first
      for (;;) {
        const { done, value } = await iterator.next()
        if (done) return
        yield value
      }
    } finally {
      await iterator.return?.()
    }
  }
  return { start, whole: whole() }
}

async function* countPacked(
  source: AsyncIterable<Uint8Array>,
  counter: { packedBytes: number },
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    if (signal?.aborted) throw cancelled(signal)
    counter.packedBytes += chunk.length
    yield chunk
  }
}

function unpack(
  source: AsyncIterable<Uint8Array>,
  format: PackedFormat,
  name: string,
): AsyncIterable<Uint8Array> {
  switch (format) {
    case 'none':
      return source
    case 'gzip':
    case 'zstd':
      return decompressByEngine(source, format, name)
    case 'xz':
    case 'bzip2':
      return byProgram(source, format, name)
    default:
      return format satisfies never
  }
}

/** Starting programs needs modules that most archives do not. */
async function* byProgram(
  source: AsyncIterable<Uint8Array>,
  format: 'xz' | 'bzip2',
  name: string,
): AsyncGenerator<Uint8Array> {
  const { decompressByProgram } = await import('./program-decompressor.ts')
  yield* decompressByProgram(source, format, name)
}

interface Bounds {
  readonly counter: { readonly packedBytes: number }
  readonly limits: NonNullable<DecompressOptions['limits']>
  readonly name: string
  readonly signal: AbortSignal | undefined
}

async function* bounded(
  source: AsyncIterable<Uint8Array>,
  { counter, limits, name, signal }: Bounds,
): AsyncGenerator<Uint8Array> {
  const { maxTotalBytes, maxRatio, ratioFreeBytes } = limits
  let total = 0
  for await (const chunk of source) {
    if (signal?.aborted) throw cancelled(signal)
    total += chunk.length
    if (total > maxTotalBytes)
      throw new KauriError('ARCHIVE_INVALID', `${name} unpacks to more than ${maxTotalBytes} bytes`)
    if (total > ratioFreeBytes && total > counter.packedBytes * maxRatio)
      throw new KauriError(
        'ARCHIVE_INVALID',
        `${name} unpacks to more than ${maxRatio} times its size: ${counter.packedBytes} bytes became ${total}`,
      )
    yield chunk
    passedBy(chunk.length)
  }
}

// gzip and zstd by Node's own engines. Those stop silently at what follows the last member or frame; here that is an error,
// but for the zeros that pad a gzip file to whole blocks of a tape.

import { createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib'
import { KauriError } from '../core/errors.ts'
import { untilDrained } from './feed-stream.ts'

/** Bytes of output at a time. */
const chunkSize = 256 * 1024

/** @throws ARCHIVE_INVALID for what is broken, cut short, or followed by something else */
export async function* decompressByEngine(
  source: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'zstd',
  archive: string,
): AsyncGenerator<Buffer, void> {
  const engine =
    format === 'gzip' ? createGunzip({ chunkSize }) : createZstdDecompress({ chunkSize })
  const feeding = feed(source, engine)
  feeding.catch((error: unknown) => engine.destroy(error instanceof Error ? error : undefined))
  try {
    // Reading to the end must not destroy it: what follows the data is looked at then.
    for await (const chunk of engine.iterator({ destroyOnReturn: false })) yield chunk
    const rest = await feeding
    if (format === 'zstd' ? rest.hasBytes : rest.hasOtherThanZeros)
      throw new KauriError('ARCHIVE_INVALID', `${archive}: something follows the ${format} data`)
  } catch (error) {
    throw isEngineError(error) ? broken(archive, format, error) : error
  } finally {
    engine.destroy()
  }
}

function isEngineError(error: unknown): error is Error & { readonly code: string } {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    /^(?:Z_|ZSTD_)/.test(error.code)
  )
}

function broken(
  archive: string,
  format: string,
  error: Error & { readonly code: string },
): KauriError {
  const what =
    error.code === 'Z_BUF_ERROR' ? 'is cut short' : `is broken: ${error.message.toLowerCase()}`
  return new KauriError('ARCHIVE_INVALID', `${archive}: the ${format} data ${what}`, {
    cause: error,
  })
}

/** What came after the end of the packed data. */
interface Rest {
  readonly hasBytes: boolean
  readonly hasOtherThanZeros: boolean
}

/** Writes the source to the engine for as long as it takes bytes, then looks at what is left. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  engine: Gunzip | ZstdDecompress,
): Promise<Rest> {
  const ended = new Promise<void>(resolve => {
    for (const event of ['end', 'close', 'error']) engine.once(event, resolve)
  })
  let fedBytes = 0
  /** Chunks that the engine has not used up. */
  let unused: { readonly start: number; readonly chunk: Uint8Array }[] = []
  for await (const chunk of source) {
    unused = unused.filter(({ start, chunk: { length } }) => start + length > engine.bytesWritten)
    unused.push({ start: fedBytes, chunk })
    fedBytes += chunk.length
    if (engine.readableEnded) continue
    if (engine.destroyed) break
    if (!engine.write(chunk)) await untilDrained(engine)
  }
  if (!engine.readableEnded && !engine.destroyed) engine.end()
  if (!engine.readableEnded && !engine.destroyed) await ended
  if (engine.errored !== null) throw engine.errored
  const rest = unused.map(({ start, chunk }) =>
    chunk.subarray(Math.max(0, engine.bytesWritten - start)),
  )
  return {
    hasBytes: rest.some(({ length }) => length > 0),
    hasOtherThanZeros: rest.some(bytes => bytes.some(byte => byte !== 0)),
  }
}

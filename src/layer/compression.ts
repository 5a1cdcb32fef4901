// Packs bytes with the codec that a caller names. Equal bytes in give equal bytes out, however they were cut and however
// many cores there are; of `zstd` and `gzip` that holds for one version of Node, of `zstd-codec` for all.

import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import type { Compression } from '../oci/media-types.ts'
import { gzipBlocks, gzipDefaultLevel } from './gzip-blocks.ts'
import type { LayerCompression } from './layer.ts'
import { zstdDefaultLevel, zstdFrames } from './zstd-frames.ts'

interface Codec {
  /** How the packed bytes are called in media types. */
  readonly compression: Compression
  readonly levels: { readonly least: number; readonly most: number; readonly usual: number }
  readonly pack: (source: AsyncIterable<Uint8Array>, level: number) => AsyncIterable<Uint8Array>
}

const zstdLevels = { least: 1, most: 19, usual: zstdDefaultLevel } as const

const codecs: Readonly<Record<LayerCompression['codec'], Codec>> = {
  none: { compression: 'none', levels: { least: 0, most: 0, usual: 0 }, pack: copyChunks },
  gzip: {
    compression: 'gzip',
    levels: { least: 1, most: 9, usual: gzipDefaultLevel },
    pack: gzipBlocks,
  },
  zstd: { compression: 'zstd', levels: zstdLevels, pack: zstdFrames },
  'zstd-codec': { compression: 'zstd', levels: zstdLevels, pack: packWithZstdCodec },
}

/** The source may use its chunks again, the receiver may keep its own. */
async function* copyChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) yield Buffer.from(chunk)
}

/** The package is 742 KB of WebAssembly: only who asks for it loads it. */
async function* packWithZstdCodec(
  source: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Uint8Array> {
  const { zstdCodecFrames } = await import('./zstd-codec-frames.ts')
  yield* zstdCodecFrames(source, level)
}

/**
 * The packed bytes, in chunks that are the receiver's to keep. Chunks of the source may be reused once the next is asked for.
 * @throws USAGE for a level that the codec does not have; CANCELLED
 */
export function compress(
  source: AsyncIterable<Uint8Array>,
  { codec, level }: LayerCompression,
  signal?: AbortSignal,
): AsyncIterable<Uint8Array> {
  const { levels, pack } = codecs[codec]
  if (
    level !== undefined &&
    !(Number.isInteger(level) && level >= levels.least && level <= levels.most)
  )
    throw new KauriError('USAGE', `${codec} has no level ${level}`, {
      hint:
        codec === 'none'
          ? 'leave the level out'
          : `take one from ${levels.least} to ${levels.most}`,
    })
  return pack(signal === undefined ? source : untilAborted(source, signal), level ?? levels.usual)
}

/** How media types call what a codec makes. */
export function compressionOfCodec(codec: LayerCompression['codec']): Compression {
  return codecs[codec].compression
}

async function* untilAborted(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    if (signal.aborted) throw cancelled(signal)
    yield chunk
  }
}

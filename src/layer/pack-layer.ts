// From a tar to a stored layer in one pass: hash, pack, store.

import { KauriError } from '../core/errors.ts'
import { asDiffId, createDigester, type Digest } from '../oci/digest.ts'
import { compress, compressionOfCodec } from './compression.ts'
import type { LayerCompression, PackedLayer } from './layer.ts'

/** How the layer is packed and where it goes. */
export interface PackLayerOptions {
  readonly compression: LayerCompression
  /** Stores the packed bytes and says what their name is; a store's putBlob. It reads to the end. */
  readonly sink: (
    packed: AsyncIterable<Uint8Array>,
  ) => Promise<{ readonly digest: Digest; readonly size: number }>
  /** Receives each chunk of the tar before it is packed, and is waited for. */
  readonly tee?: (chunk: Uint8Array) => void | Promise<void>
  readonly signal?: AbortSignal | undefined
}

/** @throws what the source, the sink and the tee throw; USAGE for a wrong level; CANCELLED */
export async function packLayer(
  tar: AsyncIterable<Uint8Array>,
  { compression, sink, tee, signal }: PackLayerOptions,
): Promise<PackedLayer> {
  const digester = createDigester()
  let tarBytes = 0
  let isWhole = false
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of tar) {
      digester.update(chunk)
      tarBytes += chunk.length
      await tee?.(chunk)
      yield chunk
    }
    isWhole = true
  }
  const { digest, size } = await sink(compress(hashed(), compression, signal))
  if (!isWhole) throw new KauriError('INTERNAL', 'a layer was stored before all of it was packed')
  return {
    diffId: asDiffId(digester.digest()),
    digest,
    tarBytes,
    packedBytes: size,
    compression: compressionOfCodec(compression.codec),
  }
}

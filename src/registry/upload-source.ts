// The bytes of an upload: read once from beginning to end where all goes well, from the beginning again where a registry
// wants earlier bytes. The last bytes are held back until the digest of all of them is right, so that no registry ever
// takes others for the blob.

import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { poolDigest } from '../store/write-pieces.ts'

/**
 * A socket takes so much, and the next piece is asked for only when all of it is with the kernel. Less waits in the socket
 * while more is asked for, and sources lend their chunks only until then.
 */
const leastWaitedBytes = 256 * 1024

export type OpenSource = () => Promise<AsyncIterable<Uint8Array>>

export interface UploadSource extends AsyncDisposable {
  /** So many bytes from an offset. @throws CHECKSUM_MISMATCH, and what reading throws */
  read(from: number, length: number): AsyncGenerator<Uint8Array>
  /** What reading failed with; a connection only says that its body ended too early. */
  failure(): unknown
}

/** Disposing closes what is open. `onProgress` hears of every piece that was handed over. */
export function uploadSource(
  open: OpenSource,
  blob: Pick<Descriptor, 'digest' | 'size'>,
  onProgress: (doneBytes: number) => void,
): UploadSource {
  const state: Reading = { reader: undefined, pending: new Uint8Array(), position: 0 }
  let failure: unknown
  const close = async (): Promise<void> => {
    await state.reader?.return?.().catch(() => {})
    state.reader = undefined
  }
  const reopen = async (): Promise<void> => {
    await close()
    state.reader = verified(await open(), blob)
    state.pending = new Uint8Array()
    state.position = 0
  }
  async function* read(from: number, length: number): AsyncGenerator<Uint8Array> {
    try {
      if (state.reader === undefined || state.position > from) await reopen()
      while (state.position < from)
        if ((await nextPiece(state, from - state.position)).byteLength === 0) return
      const end = from + length
      while (state.position < end) {
        const piece = await nextPiece(state, end - state.position)
        if (piece.byteLength === 0) return
        yield piece.byteLength < leastWaitedBytes ? Buffer.from(piece) : piece
        onProgress(state.position)
      }
    } catch (error) {
      failure = error
      await close()
      throw error
    }
  }
  return { read, failure: () => failure, [Symbol.asyncDispose]: close }
}

/** How far a source is read. */
interface Reading {
  reader: AsyncIterator<Uint8Array> | undefined
  /** Read, and not handed over yet. */
  pending: Uint8Array
  /** Bytes that were handed over. */
  position: number
}

/** At most so many bytes, none at the end. */
async function nextPiece(state: Reading, mostBytes: number): Promise<Uint8Array> {
  if (state.pending.byteLength === 0) {
    const result = await state.reader?.next()
    if (result === undefined || result.done) return new Uint8Array()
    state.pending = result.value
  }
  const piece = state.pending.subarray(0, mostBytes)
  state.pending = state.pending.subarray(piece.byteLength)
  state.position += piece.byteLength
  return piece
}

/** The bytes of a blob, the last ones only when everything is right. They are hashed while they are sent. */
async function* verified(
  source: AsyncIterable<Uint8Array>,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
): AsyncGenerator<Uint8Array> {
  const hash = poolDigest()
  let seen = 0
  for await (const chunk of source) {
    seen += chunk.byteLength
    if (seen >= size) {
      if (seen === size) {
        await hash.absorb(chunk)
        requireRight(hash.digest(), digest)
        yield chunk
        return
      }
      break
    }
    const hashing = hash.absorb(chunk)
    // Nobody waits for it where the reader leaves.
    hashing.catch(() => {})
    yield chunk
    await hashing
  }
  const got = seen > size ? 'more' : String(seen)
  if (seen !== size)
    throw new KauriError('CHECKSUM_MISMATCH', `expected ${size} bytes of ${digest}, got ${got}`)
  requireRight(hash.digest(), digest)
}

function requireRight(actual: Digest, digest: Digest): void {
  if (actual !== digest)
    throw new KauriError('CHECKSUM_MISMATCH', `expected the digest ${digest}, got ${actual}`)
}

// Bytes of a blob on their way into its file: hashed and written piece by piece on the thread pool, in one job each, while
// the caller's thread gets the next ones. Few large pieces, because each job costs two hops between threads.

import { native, type Sha256 } from '../native/native.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import type { StoredBlob } from './store.ts'

/** How long pieces are; large, because each costs two hops between threads. */
export const pieceBytes: number = 512 * 1024

/** Chunks from this length on are not copied together first. */
const largeBytes = 128 * 1024

export interface WritePiecesOptions {
  readonly signal?: AbortSignal | undefined
  /** Makes the error of a failed write into the caller's. */
  readonly rethrow: (error: unknown) => never
}

/** Writes from the start of the file; nothing is under way any more when this returns or fails. */
export async function writePieces(
  source: AsyncIterable<Uint8Array>,
  fd: number,
  { signal, rethrow }: WritePiecesOptions,
): Promise<StoredBlob> {
  const digest = poolDigest()
  await using output = pieceWriter({ fd, digest, position: 0 }, rethrow)
  for await (const chunk of source) {
    signal?.throwIfAborted()
    await output.add(chunk)
  }
  return { size: await output.flush(), digest: digest.digest() }
}

/** Where bytes go: behind what was written and hashed before. */
export interface PieceTarget {
  readonly fd: number
  readonly digest: PoolDigest
  readonly position: number
}

/** Disposing waits for what is under way; what was not flushed may be missing. */
export interface PieceWriter extends AsyncDisposable {
  /** The chunk may change when this returns. */
  add(chunk: Uint8Array): Promise<void>
  /** Writes what was gathered; the position behind it. */
  flush(): Promise<number>
}

/** `rethrow` makes the error of a failed write into the caller's. */
export function pieceWriter(
  { fd, digest, position: start }: PieceTarget,
  rethrow: (error: unknown) => never,
): PieceWriter {
  const gathered = twoBuffers()
  let position = start
  let underWay: Promise<void> = Promise.resolve()
  const write = async (bytes: Uint8Array): Promise<void> => {
    await underWay
    underWay = digest.absorb(bytes, { fd, position }).catch(rethrow)
    // It is waited for before anything else happens, and must not count as unhandled until then.
    underWay.catch(() => {})
    position += bytes.byteLength
  }
  return {
    async add(chunk) {
      if (gathered.isEmpty() && chunk.byteLength >= largeBytes) {
        await write(chunk)
        return await underWay
      }
      for (let at = 0; at < chunk.byteLength; ) {
        at += gathered.take(chunk.subarray(at))
        if (gathered.isFull()) await write(gathered.hand())
      }
    },
    async flush() {
      if (!gathered.isEmpty()) await write(gathered.hand())
      await underWay
      return position
    },
    [Symbol.asyncDispose]: () => underWay.catch(() => {}),
  }
}

/** One is filled while the other one is written. */
interface TwoBuffers {
  /** How many bytes were copied. */
  take(bytes: Uint8Array): number
  isEmpty(): boolean
  isFull(): boolean
  /** What was gathered; it stays as it is until the next call of this. */
  hand(): Uint8Array
}

function twoBuffers(): TwoBuffers {
  const buffers: Uint8Array[] = []
  let turn = 0
  let filled = 0
  return {
    take(bytes) {
      const buffer = (buffers[turn] ??= Buffer.allocUnsafeSlow(pieceBytes))
      const part = bytes.subarray(0, pieceBytes - filled)
      buffer.set(part, filled)
      filled += part.byteLength
      return part.byteLength
    },
    isEmpty: () => filled === 0,
    isFull: () => filled === pieceBytes,
    hand() {
      const piece = (buffers[turn] ?? new Uint8Array()).subarray(0, filled)
      turn = 1 - turn
      filled = 0
      return piece
    },
  }
}

/** A digest whose bytes are hashed by the thread pool; one call at a time. */
export interface PoolDigest {
  /** Hashes bytes, and writes them where it is told a file; they must not change before it is done. */
  absorb(
    bytes: Uint8Array,
    into?: { readonly fd: number; readonly position: number },
  ): Promise<void>
  /** Ends it. */
  digest(): Digest
}

export function poolDigest(): PoolDigest {
  const calls = native()
  const state: Sha256 = calls.openSha256()
  return {
    absorb: (bytes, { fd, position } = { fd: -1, position: 0 }) =>
      calls.absorb(state, bytes, fd, position),
    digest: () => parseDigest(`sha256:${calls.sha256Hex(state)}`),
  }
}

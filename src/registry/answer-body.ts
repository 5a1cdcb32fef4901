// The bytes of an answer: gathered into few buffers that are used in turns, and lent to the reader one after the other.
// undici hands over what one read of the socket brought; a promise, a hop to the thread pool and a buffer that waits for
// garbage collection for each of those would take longer than everything else that a transfer does.

import { pieceBytes } from '../store/write-pieces.ts'

/** Each chunk is the reader's until it asks for the next one; who keeps it makes a copy. Leaving the loop destroys it. */
export interface AnswerBody extends AsyncIterable<Uint8Array> {
  /** Ends the connection where the body has not ended; idempotent. */
  destroy(): void
}

/** The side of the connection. */
export interface BodyFeed {
  readonly body: AnswerBody
  /** Takes a copy. */
  add(chunk: Uint8Array): void
  end(): void
  /** What came before is still read, so that a transfer can go on behind it. */
  fail(error: unknown): void
}

export interface BodyFlow {
  /** Nothing more should come for now. */
  pause(): void
  resume(): void
  /** Nobody wants the rest. */
  abort(): void
}

/** A slow line's bytes are handed over before they fill a buffer, so that progress shows. */
const patienceMs = 100

/** Buffers that transfers have used, for later ones: the garbage collection would leave them lying until there are many. */
export type SpareBuffers = Buffer[]

export interface BodyFeedOptions {
  /** Keeps the buffers of short answers short. */
  readonly expectedBytes?: number | undefined
  readonly spare?: SpareBuffers
}

export function bodyFeed(
  flow: BodyFlow,
  { expectedBytes = pieceBytes, spare = [] }: BodyFeedOptions = {},
): BodyFeed {
  const size = Math.max(1, Math.min(pieceBytes, expectedBytes))
  const ring = bufferRing(size, size === pieceBytes ? spare : [])
  const gate = readerGate(
    isLate => ring.hasFull() || ending !== undefined || (isLate && ring.hasAny()),
  )
  let ending: { readonly error: unknown } | 'complete' | undefined
  let isPaused = false
  const finish = (how: typeof ending): void => {
    ending ??= how
    gate.look()
  }
  const next = async (): Promise<Uint8Array | undefined> => {
    ring.takeBack()
    if (isPaused && !ring.isExhausted()) {
      isPaused = false
      flow.resume()
    }
    await gate.pass()
    const piece = ring.lend()
    if (piece === undefined && typeof ending === 'object') throw ending.error
    return piece
  }
  const destroy = (): void => {
    if (ending === undefined) flow.abort()
    finish('complete')
    ring.release()
  }
  return {
    body: { destroy, [Symbol.asyncIterator]: () => lentPieces(next, destroy) },
    add(chunk) {
      if (ending !== undefined) return
      ring.fill(chunk)
      if (ring.isExhausted() && !isPaused) {
        isPaused = true
        flow.pause()
      }
      gate.look()
    },
    end: () => finish('complete'),
    fail: error => finish({ error }),
  }
}

async function* lentPieces(
  next: () => Promise<Uint8Array | undefined>,
  destroy: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    for (let piece = await next(); piece !== undefined; piece = await next()) yield piece
  } finally {
    destroy()
  }
}

/** Where the reader waits until there is something for it. */
interface ReaderGate {
  pass(): Promise<void>
  /** Something has changed. */
  look(): void
}

function readerGate(isOpen: (isLate: boolean) => boolean): ReaderGate {
  let waiting: (() => void) | undefined
  let isLate = false
  const look = (): void => {
    if (waiting === undefined || !isOpen(isLate)) return
    const go = waiting
    waiting = undefined
    go()
  }
  return {
    look,
    async pass() {
      if (isOpen(false)) return
      const timer = setTimeout(() => {
        isLate = true
        look()
      }, patienceMs)
      await new Promise<void>(resolve => {
        waiting = resolve
      })
      clearTimeout(timer)
      isLate = false
    },
  }
}

/** Buffers that go from being filled to the reader and back. */
interface BufferRing {
  fill(chunk: Uint8Array): void
  hasFull(): boolean
  hasAny(): boolean
  /** The next chunk from a socket may find no room: more is made then, but it should not come. */
  isExhausted(): boolean
  /** The oldest full buffer, or what there is of one; undefined where nothing is. */
  lend(): Uint8Array | undefined
  /** The reader is done with what it was lent. */
  takeBack(): void
  /** Gives away all but what is lent, which somebody may still read; nothing is filled any more. */
  release(): void
}

/** One that the reader has, and others that are filled meanwhile. */
const mostBuffers = 4
/** What one read of a socket brings. */
const readBytes = 128 * 1024

/** Of four transfers at once. */
const mostSpare = 16

function bufferRing(size: number, spare: SpareBuffers): BufferRing {
  const free: Buffer[] = []
  const full: Buffer[] = []
  let made = 0
  let lent: Buffer | undefined
  let filling: Buffer | undefined
  let filled = 0
  const newBuffer = (): Buffer => {
    const kept = free.pop()
    if (kept !== undefined) return kept
    made++
    return spare.pop() ?? Buffer.allocUnsafeSlow(size)
  }
  return {
    fill(chunk) {
      for (let at = 0; at < chunk.byteLength; ) {
        filling ??= newBuffer()
        const part = chunk.subarray(at, at + size - filled)
        filling.set(part, filled)
        filled += part.byteLength
        at += part.byteLength
        if (filled < size) continue
        full.push(filling)
        filling = undefined
        filled = 0
      }
    },
    hasFull: () => full.length > 0,
    hasAny: () => full.length > 0 || filled > 0,
    isExhausted: () =>
      free.length === 0 &&
      (made > mostBuffers ||
        (made === mostBuffers && (filling === undefined || size - filled < readBytes))),
    lend() {
      const oldest = full.shift()
      lent = oldest ?? filling
      if (oldest !== undefined || lent === undefined) return oldest
      const piece = lent.subarray(0, filled)
      filling = undefined
      filled = 0
      return piece
    },
    takeBack() {
      if (lent !== undefined) free.push(lent)
      lent = undefined
    },
    release() {
      const all = [
        ...free.splice(0),
        ...full.splice(0),
        ...(filling === undefined ? [] : [filling]),
      ]
      filling = undefined
      filled = 0
      spare.push(...all.slice(0, Math.max(0, mostSpare - spare.length)))
    },
  }
}

// Gathers bytes into chunks of one size; full ones come out as soon as they are full.

/** A generator of chunks that are full. */
export type Chunks = Generator<Buffer, void>

/** Hands out every chunk as soon as it is full; `end` gives the rest. */
export class ChunkWriter {
  readonly #size: number
  readonly #reuses: boolean
  #chunk: Buffer
  #used = 0

  /** `reuses`: every chunk is the same memory, and gone when the next one is asked for. */
  constructor(size: number, reuses: boolean) {
    this.#size = size
    this.#reuses = reuses
    this.#chunk = Buffer.allocUnsafe(size)
  }

  /** Bytes that the chunk still takes. */
  get room(): number {
    return this.#size - this.#used
  }

  *write(bytes: Buffer): Chunks {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#chunk, this.#used, at)
      this.#used += copied
      at += copied
      yield* this.#full()
    }
  }

  *writeZeros(count: number): Chunks {
    for (let left = count; left > 0; ) {
      const end = Math.min(this.#used + left, this.#size)
      this.#chunk.fill(0, this.#used, end)
      left -= end - this.#used
      this.#used = end
      yield* this.#full()
    }
  }

  /**
   * Lets `fill` put bytes into the free part of the chunk, which is not empty; it returns how many.
   * For reading a file where it is wanted, without a copy.
   */
  *writeWith(fill: (free: Buffer) => number): Chunks {
    this.#used += fill(this.#chunk.subarray(this.#used))
    yield* this.#full()
  }

  /** What is left at the end. */
  *end(): Chunks {
    if (this.#used > 0) yield this.#chunk.subarray(0, this.#used)
    this.#used = 0
  }

  *#full(): Chunks {
    if (this.#used < this.#size) return
    yield this.#chunk
    if (!this.#reuses) this.#chunk = Buffer.allocUnsafe(this.#size)
    this.#used = 0
  }
}

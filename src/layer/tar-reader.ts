// Reads tar: takes the archive in pieces as they come and tells of entries and their data. Synchronous, because a promise
// for each of many thousand small files costs more than unpacking them; memory is one header, whatever the archive says.

import {
  type AssembledEntry,
  createEntryAssembly,
  type EntryAssembly,
  type ExtensionKind,
} from './entry-assembly.ts'
import type { ArchiveLimits } from './layer.ts'
import {
  checkSparseMap,
  createBodyMapReader,
  readOldSparseExtension,
  readOldSparseHeader,
  type Segment,
  type SparseMap,
} from './sparse-map.ts'
import { type TarEntry, tarInvalid } from './tar-entry.ts'
import {
  blockSize,
  decodeHeader,
  HeaderError,
  isZeroBlock,
  paddedSize,
  type RawHeader,
} from './tar-header.ts'

/** Receives an archive's contents, in its order; what these throw ends the reading. */
export interface TarHandlers {
  onEntry(entry: TarEntry): void
  /** Bytes of the file that was announced last, at their offset in it; valid only during the call. Holes are left out. */
  onData(bytes: Buffer, offset: number): void
  /** After the last byte of an entry of any type. */
  onEntryEnd(entry: TarEntry): void
}

/** What bounds the reading, and what errors say. */
export interface TarReaderOptions {
  /** What messages call the archive. */
  readonly archive: string
  readonly limits: ArchiveLimits
}

/** Where the bytes that come next go. */
type Step =
  /** Gather this many, then hand them over in one piece. */
  | { readonly kind: 'gather'; readonly size: number; readonly use: (bytes: Buffer) => void }
  | { readonly kind: 'body' | 'skip' }
  /** After the end of the archive everything is padding. */
  | { readonly kind: 'ended' }

/** One archive: `write` its bytes in pieces of any size, then `end`. */
export class TarReader {
  readonly #handlers: TarHandlers
  readonly #archive: string
  readonly #limits: ArchiveLimits
  readonly #assembly: EntryAssembly = createEntryAssembly()
  readonly #header: Step = {
    kind: 'gather',
    size: blockSize,
    use: block => this.#readHeader(block),
  }
  #step: Step = this.#header
  #offset = 0
  #entries = 0
  #totalBytes = 0
  /** Of extended headers whose entry has not come yet. */
  #extensionBytes = 0
  #entry: TarEntry | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #hasZeroBlock = false
  /** Bytes to come of the body, or to skip. */
  #left = 0
  #padding = 0
  #segments: readonly Segment[] = []
  #segment = 0
  #segmentDone = 0

  constructor(handlers: TarHandlers, { archive, limits }: TarReaderOptions) {
    this.#handlers = handlers
    this.#archive = archive
    this.#limits = limits
  }

  /** Takes the next bytes. @throws ARCHIVE_INVALID with the place */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    try {
      for (let at = 0; at < bytes.length; ) {
        const taken = this.#take(at === 0 ? bytes : bytes.subarray(at))
        at += taken
        this.#offset += taken
      }
    } catch (error) {
      throw error instanceof HeaderError ? this.#invalid(error.message) : error
    }
  }

  /** Tells that no more comes. @throws ARCHIVE_INVALID where the archive stops in the middle */
  end(): void {
    if (this.#step.kind === 'ended') return
    if (this.#offset === 0) throw this.#invalid('there is nothing in it')
    if (this.#step !== this.#header || this.#heldBytes > 0 || this.#assembly.isPending())
      throw this.#invalid('the archive is cut short')
  }

  #invalid(what: string): Error {
    const hint =
      this.#offset < blockSize
        ? 'give a tar archive, plain or packed with gzip, bzip2, xz or zstd'
        : undefined
    return tarInvalid(
      what,
      { archive: this.#archive, offset: this.#offset, entry: this.#entry?.path },
      hint,
    )
  }

  /** Uses some of the bytes, at least one; returns how many. */
  #take(bytes: Buffer): number {
    switch (this.#step.kind) {
      case 'gather':
        return this.#takeGathered(bytes, this.#step)
      case 'body':
        return this.#takeBody(bytes)
      case 'skip':
        return this.#takeSkipped(bytes)
      case 'ended':
        return bytes.length
      default:
        return this.#step satisfies never
    }
  }

  /** Gathers without copying where the bytes come in one piece. */
  #takeGathered(bytes: Buffer, { size, use }: Extract<Step, { kind: 'gather' }>): number {
    const wanted = size - this.#heldBytes
    if (bytes.length < wanted) {
      this.#held.push(Buffer.from(bytes))
      this.#heldBytes += bytes.length
      return bytes.length
    }
    const last = bytes.subarray(0, wanted)
    const whole = this.#heldBytes === 0 ? last : Buffer.concat([...this.#held, last])
    this.#held = []
    this.#heldBytes = 0
    use(whole)
    return wanted
  }

  #takeBody(bytes: Buffer): number {
    let part = this.#segments[this.#segment]
    while (part !== undefined && this.#segmentDone === part.length) {
      this.#segmentDone = 0
      part = this.#segments[++this.#segment]
    }
    if (part === undefined) throw this.#invalid('a file has more bytes than its map')
    const taken = Math.min(bytes.length, part.length - this.#segmentDone)
    const offset = part.offset + this.#segmentDone
    this.#handlers.onData(taken === bytes.length ? bytes : bytes.subarray(0, taken), offset)
    this.#segmentDone += taken
    this.#left -= taken
    if (this.#left === 0) this.#endBody()
    return taken
  }

  #takeSkipped(bytes: Buffer): number {
    const taken = Math.min(this.#left, bytes.length)
    this.#left -= taken
    if (this.#left === 0) this.#step = this.#header
    return taken
  }

  #readHeader(block: Buffer): void {
    this.#entry = undefined
    if (isZeroBlock(block)) {
      this.#step = this.#hasZeroBlock ? { kind: 'ended' } : this.#header
      this.#hasZeroBlock = true
      return
    }
    if (this.#hasZeroBlock) throw this.#invalid('something follows a single block of zeros')
    const header = decodeHeader(block)
    const extension = this.#assembly.extensionOf(header)
    if (extension === undefined) this.#startEntry(header, block)
    else this.#startExtension(extension, header.size)
  }

  #startExtension(kind: ExtensionKind, size: number): void {
    const { maxHeaderBytes } = this.#limits
    // Of one entry all together, so that a row of them does not fill the memory.
    this.#extensionBytes += size
    if (size < 0 || this.#extensionBytes > maxHeaderBytes)
      throw this.#invalid(
        `the extended headers of an entry are ${this.#extensionBytes} bytes long, more than ${maxHeaderBytes}`,
      )
    this.#gather(paddedSize(size), bytes => {
      this.#assembly.addExtension(kind, bytes.subarray(0, size))
      this.#step = this.#header
    })
  }

  #gather(size: number, use: (bytes: Buffer) => void): void {
    if (size === 0) use(Buffer.alloc(0))
    else this.#step = { kind: 'gather', size, use }
  }

  #startEntry(header: RawHeader, block: Buffer): void {
    const assembled = this.#assembly.assemble(header)
    const { entry, storedSize, body } = assembled
    this.#entry = entry
    this.#extensionBytes = 0
    this.#checkLimits(assembled)
    this.#padding = paddedSize(storedSize) - storedSize
    switch (body.kind) {
      case 'plain':
        return this.#startBody(entry, [{ offset: 0, length: storedSize }], storedSize)
      case 'discard':
        return this.#skipBody(entry, storedSize)
      case 'old-sparse':
        return this.#readOldSparse(entry, block, storedSize)
      case 'map':
        return this.#startSparse(entry, body.map, storedSize)
      case 'map-in-body':
        return this.#readBodyMap({ ...entry, size: body.size }, storedSize)
      default:
        return body satisfies never
    }
  }

  #checkLimits({ entry: { path }, depth, storedSize }: AssembledEntry): void {
    const { maxEntries, maxPathBytes, maxDepth } = this.#limits
    if (++this.#entries > maxEntries)
      throw this.#invalid(`there are more than ${maxEntries} entries`)
    if (path.length * 3 > maxPathBytes && Buffer.byteLength(path) > maxPathBytes)
      throw this.#invalid(`a path is longer than ${maxPathBytes} bytes`)
    if (depth > maxDepth) throw this.#invalid(`a path is deeper than ${maxDepth} directories`)
    this.#countBytes(storedSize)
  }

  #countBytes(size: number): void {
    this.#totalBytes += size
    const { maxTotalBytes } = this.#limits
    if (this.#totalBytes > maxTotalBytes)
      throw this.#invalid(`the files have more than ${maxTotalBytes} bytes in all`)
  }

  #readOldSparse(file: TarEntry, block: Buffer, storedSize: number): void {
    const { size, segments, hasMore } = readOldSparseHeader(block)
    const found = [...segments]
    const go = (more: boolean): void => {
      if (!more) this.#startSparse({ ...file, size }, { size, segments: found }, storedSize)
      else this.#gather(blockSize, readMore)
    }
    const readMore = (extension: Buffer): void => {
      const next = readOldSparseExtension(extension)
      found.push(...next.segments)
      if (found.length * 24 > this.#limits.maxHeaderBytes)
        throw this.#invalid(`the map of a sparse file has more than ${found.length} parts`)
      go(next.hasMore)
    }
    go(hasMore)
  }

  #readBodyMap(file: TarEntry, storedSize: number): void {
    const reader = createBodyMapReader(this.#limits.maxHeaderBytes)
    let bytesLeft = storedSize
    const readMore = (block: Buffer): void => {
      const segments = reader.add(block)
      if (segments !== undefined) this.#startSparse(file, { size: file.size, segments }, bytesLeft)
      else go()
    }
    const go = (): void => {
      if (bytesLeft < blockSize) throw this.#invalid('the map of a sparse file is cut short')
      bytesLeft -= blockSize
      this.#gather(blockSize, readMore)
    }
    go()
  }

  #startSparse(file: TarEntry, map: SparseMap, storedSize: number): void {
    checkSparseMap(map, storedSize)
    this.#countBytes(map.size - storedSize)
    this.#startBody({ ...file, size: map.size }, map.segments, storedSize)
  }

  #startBody(file: TarEntry, segments: readonly Segment[], storedSize: number): void {
    this.#entry = file
    this.#handlers.onEntry(file)
    this.#segments = segments
    this.#segment = 0
    this.#segmentDone = 0
    this.#left = storedSize
    if (storedSize === 0) this.#endBody()
    else this.#step = { kind: 'body' }
  }

  #endBody(): void {
    if (this.#entry !== undefined) this.#handlers.onEntryEnd(this.#entry)
    this.#skip(this.#padding)
  }

  #skipBody(entry: TarEntry, storedSize: number): void {
    this.#handlers.onEntry(entry)
    this.#handlers.onEntryEnd(entry)
    this.#skip(storedSize + this.#padding)
  }

  #skip(size: number): void {
    this.#left = size
    this.#step = size === 0 ? this.#header : { kind: 'skip' }
  }
}

// The table of file contents, as it lies in memory and on disk: a record for each file, found by what lstat(2) says of it.
// Records are numbers side by side, 60 bytes each: as objects, half a million of them would take 150 MB.

import { createHash, hash } from 'node:crypto'
import type { SourceEntry } from './source-entry.ts'

/** The content of a regular file. */
export interface FileContent {
  /** SHA-256 of its bytes, a character for each byte. */
  readonly digest: string
  /** It has extended attributes that travel with it. */
  readonly hasXattrs: boolean
}

export interface ContentRecords {
  /** The content that was remembered for just these numbers; undefined where there is none. Marks it as used. */
  find(entry: SourceEntry): FileContent | undefined
  /** `isKept` false: not for the disk. */
  add(entry: SourceEntry, content: FileContent, isKept: boolean): void
  /** Something was added that is kept. */
  hasNews(): boolean
  /** For the disk, in pieces: what is kept, unless nobody has used it for long. */
  format(): Iterable<Buffer>
}

/** Words of 32 bits in a record: identity, times, marks, then the digest. */
const recordWords = 15
const markWord = 6
const digestWord = 7
const chunkRecords = 1 << 15
/** Multiples of four, so that records lie as numbers do. */
const headerBytes = 4
const trailerBytes = 36

/** Beyond this, what was not used in this run is dropped: 60 MB. */
const mostRecords = 1_000_000
/** Writings without a use that a record outlives. */
const longestAge = 40

/** Bits of the mark; the lowest byte is the age, the file's mode is above. */
const marks = { xattrs: 0x100, kept: 0x200, used: 0x400 } as const
const modeShift = 12

const magic = 0x3249_434b

/** Opens what `format` gave; a file that is not whole is taken for an empty one. */
export function contentRecords(file?: Uint8Array): ContentRecords {
  const list = recordList(file === undefined ? new Uint32Array(0) : readBase(file))
  /** Numbers of records, counted from 1, at places that their identities lead to. */
  let slots = slotsOf(list, 0)
  let hasNews = false

  /** The slot of the entry's record, or the free one where it goes. */
  function seek(entry: SourceEntry): number {
    const mask = slots.length - 1
    const { inodeLow, ctimeNanoseconds, sizeBytes } = entry
    for (let slot = mix(inodeLow, ctimeNanoseconds, sizeBytes % 2 ** 32) & mask; ; ) {
      const index = (slots[slot] ?? 0) - 1
      if (index < 0 || isSame(list.chunkAt(index).words, list.startOf(index), entry)) return slot
      slot = (slot + 1) & mask
    }
  }

  return {
    find(entry) {
      const index = (slots[seek(entry)] ?? 0) - 1
      if (index < 0) return undefined
      const { words, bytes } = list.chunkAt(index)
      const start = list.startOf(index)
      const mark = words[start + markWord] ?? 0
      words[start + markWord] = mark | marks.used
      const digestStart = (start + digestWord) * 4
      const digest = bytes.toString('latin1', digestStart, digestStart + 32)
      return { digest, hasXattrs: (mark & marks.xattrs) !== 0 }
    },
    add(entry, { digest, hasXattrs }, isKept) {
      if ((list.count() + 1) * 1.4 > slots.length) slots = slotsOf(list, list.count() / 2 + 1)
      const slot = seek(entry)
      const there = (slots[slot] ?? 0) - 1
      const index = there < 0 ? list.append() : there
      slots[slot] = index + 1
      const { words, bytes } = list.chunkAt(index)
      const start = list.startOf(index)
      describe(entry, words, start)
      const flags = marks.used | (hasXattrs ? marks.xattrs : 0) | (isKept ? marks.kept : 0)
      words[start + markWord] = (entry.mode << modeShift) | flags
      bytes.write(digest, (start + digestWord) * 4, 32, 'latin1')
      if (isKept) hasNews = true
    },
    hasNews: () => hasNews,
    format: () => formatRecords(list),
  }
}

/** Records in the order they came, those of the file first. */
interface RecordList {
  count(): number
  chunkAt(index: number): Chunk
  /** Of the record in its chunk's words. */
  startOf(index: number): number
  /** Makes room for one more; its index. */
  append(): number
}

function recordList(words: Uint32Array): RecordList {
  const base = chunkOf(words)
  const baseCount = words.length / recordWords
  const chunks: Chunk[] = []
  let count = baseCount
  return {
    count: () => count,
    chunkAt(index) {
      if (index < baseCount) return base
      return chunks[Math.floor((index - baseCount) / chunkRecords)] ?? base
    },
    startOf: index =>
      (index < baseCount ? index : (index - baseCount) % chunkRecords) * recordWords,
    append() {
      if ((count - baseCount) % chunkRecords === 0)
        chunks.push(chunkOf(new Uint32Array(chunkRecords * recordWords)))
      return count++
    },
  }
}

/** Slots for all records and some more; at least a quarter of them stays free. */
function slotsOf(list: RecordList, more: number): Int32Array {
  const count = list.count()
  let size = 1024
  while (size < (count + more) * 1.5) size *= 2
  const slots = new Int32Array(size)
  const mask = size - 1
  for (let index = 0; index < count; index++) {
    const { words } = list.chunkAt(index)
    const at = list.startOf(index)
    let slot = mix(words[at] ?? 0, words[at + 5] ?? 0, words[at + 2] ?? 0) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = index + 1
  }
  return slots
}

/** Header, records of a chunk at a time, and a trailer with their number and SHA-256. */
function* formatRecords(list: RecordList): Generator<Buffer> {
  yield Buffer.from(Uint32Array.of(magic).buffer)
  const sha256 = createHash('sha256')
  let kept = 0
  for (let first = 0; first < list.count(); first += chunkRecords) {
    const part = keptOf(list, first)
    kept += part.length / (recordWords * 4)
    sha256.update(part)
    yield part
  }
  const trailer = Buffer.alloc(trailerBytes)
  trailer.writeUInt32LE(kept, 0)
  trailer.write(sha256.digest('latin1'), trailerBytes - 32, 'latin1')
  yield trailer
}

/** Those of a chunk's length of records that are kept. */
function keptOf(list: RecordList, first: number): Buffer {
  const count = list.count()
  const output = new Uint32Array(Math.min(chunkRecords, count - first) * recordWords)
  let end = 0
  for (let index = first; index < Math.min(first + chunkRecords, count); index++) {
    const { words } = list.chunkAt(index)
    const start = list.startOf(index)
    const mark = words[start + markWord] ?? 0
    const isUsed = (mark & marks.used) !== 0
    const age = isUsed ? 0 : (mark & 0xff) + 1
    if ((mark & marks.kept) === 0 || age > longestAge) continue
    if (!isUsed && count > mostRecords) continue
    output.set(words.subarray(start, start + recordWords), end)
    output[end + markWord] = (mark & ~(0xff | marks.used)) | age
    end += recordWords
  }
  return Buffer.from(output.buffer, 0, end * 4)
}

function readBase(file: Uint8Array): Uint32Array {
  const none = new Uint32Array(0)
  if (file.byteLength < headerBytes + trailerBytes || file.byteOffset % 4 !== 0) return none
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const trailer = bytes.subarray(-trailerBytes)
  const count = trailer.readUInt32LE(0)
  const records = bytes.subarray(headerBytes, -trailerBytes)
  if (bytes.readUInt32LE(0) !== magic || records.length !== count * recordWords * 4) return none
  if (trailer.toString('latin1', trailerBytes - 32) !== hash('sha256', records, 'latin1'))
    return none
  return new Uint32Array(records.buffer, records.byteOffset, count * recordWords)
}

/** Records, as numbers and as bytes. */
interface Chunk {
  readonly words: Uint32Array
  readonly bytes: Buffer
}

function chunkOf(words: Uint32Array): Chunk {
  return { words, bytes: Buffer.from(words.buffer, words.byteOffset, words.byteLength) }
}

/** All that changes when the file does: the first words of a record, and its mode in the mark. */
function describe(entry: SourceEntry, into: Uint32Array, at: number): void {
  into[at] = entry.inodeLow
  into[at + 1] = placeOf(entry)
  into[at + 2] = entry.sizeBytes % 2 ** 32
  into[at + 3] = mtimeOf(entry)
  into[at + 4] = entry.ctimeSeconds
  into[at + 5] = entry.ctimeNanoseconds
}

/** Compares what `describe` writes; without a loop, because most builds are over before it is compiled. */
function isSame(words: Uint32Array, at: number, entry: SourceEntry): boolean {
  return (
    words[at] === entry.inodeLow &&
    words[at + 5] === entry.ctimeNanoseconds &&
    words[at + 2] === entry.sizeBytes % 2 ** 32 &&
    words[at + 4] === entry.ctimeSeconds >>> 0 &&
    words[at + 3] === mtimeOf(entry) &&
    words[at + 1] === placeOf(entry) &&
    (words[at + markWord] ?? 0) >>> modeShift === entry.mode
  )
}

/** Nearly always 0, 0 and the context's own file system: they share a word. */
function placeOf({ inodeHigh, dev, sizeBytes }: SourceEntry): number {
  const sizeHigh = Math.trunc(sizeBytes / 2 ** 32)
  return (Math.imul(Math.imul(inodeHigh, 0x9e37_79b1) ^ sizeHigh, 0x85eb_ca6b) + dev) >>> 0
}

/** What sets it sets the change time as well. */
function mtimeOf({ mtimeSeconds, mtimeNanoseconds }: SourceEntry): number {
  return (Math.imul(mtimeSeconds, 0x9e37_79b1) + mtimeNanoseconds) >>> 0
}

/** Spreads what differs most between files. */
function mix(inodeLow: number, nanoseconds: number, size: number): number {
  let sum = Math.imul(inodeLow, 0x9e37_79b1)
  sum = Math.imul(sum ^ nanoseconds ^ (sum >>> 15), 0x85eb_ca6b)
  sum = Math.imul(sum ^ size ^ (sum >>> 13), 0xc2b2_ae35)
  return sum ^ (sum >>> 16)
}

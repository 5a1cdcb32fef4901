// Where the bytes of a sparse file belong, in the four forms that GNU tar has written (GNU tar 1.34 manual, "Storing Sparse
// Files"): its own headers, and pax records of versions 0.0, 0.1 and 1.0, the last with the map before the data.

import { decodeName } from './name-bytes.ts'
import { type PaxRecords, parsePaxNumber } from './pax-records.ts'
import { blockSize, HeaderError, numberField } from './tar-header.ts'

/** Data of a file: `length` stored bytes at `offset`; everything between is a hole. */
export interface Segment {
  readonly offset: number
  readonly length: number
}

/** Sorted segments of a file that is `size` bytes long. */
export interface SparseMap {
  readonly size: number
  readonly segments: readonly Segment[]
}

/** @throws HeaderError unless segments are in order, inside the file, and as long as what is stored */
export function checkSparseMap({ size, segments }: SparseMap, storedSize: number): void {
  let end = 0
  let stored = 0
  for (const { offset, length } of segments) {
    if (offset < end || offset + length > size)
      throw new HeaderError(
        'the map of a sparse file has overlapping parts, or parts beyond its end',
      )
    end = offset + length
    stored += length
  }
  if (stored !== storedSize)
    throw new HeaderError(
      `the map of a sparse file tells of ${stored} bytes and ${storedSize} are stored`,
    )
}

const oldEntrySize = 24
const oldHeader = { start: 386, count: 4, isExtended: 482, size: 483 } as const
const oldExtension = { start: 0, count: 21, isExtended: 504 } as const

/** What a GNU header of type `S` says: the size, the first segments, and whether a block with more of them follows. */
export function readOldSparseHeader(block: Buffer): SparseMap & { readonly hasMore: boolean } {
  return {
    size: numberField(block, oldHeader.size, 12, 'realsize'),
    segments: readOldSegments(block, oldHeader.start, oldHeader.count),
    hasMore: block[oldHeader.isExtended] === 1,
  }
}

/** A block of further segments. */
export function readOldSparseExtension(block: Buffer): {
  readonly segments: readonly Segment[]
  readonly hasMore: boolean
} {
  return {
    segments: readOldSegments(block, oldExtension.start, oldExtension.count),
    hasMore: block[oldExtension.isExtended] === 1,
  }
}

function readOldSegments(block: Buffer, start: number, count: number): Segment[] {
  const segments: Segment[] = []
  for (let at = start; at < start + count * oldEntrySize && block[at] !== 0; at += oldEntrySize)
    segments.push({
      offset: numberField(block, at, 12, 'sparse offset'),
      length: numberField(block, at + 12, 12, 'sparse length'),
    })
  return segments
}

/** What pax records say of sparseness. */
export type PaxSparse =
  | { readonly kind: 'map'; readonly map: SparseMap; readonly name: string | undefined }
  /** Version 1.0: the map is in the first blocks of the data. */
  | { readonly kind: 'map-in-body'; readonly size: number; readonly name: string | undefined }

/** undefined where the records make no sparse file. @throws HeaderError */
export function readPaxSparse(records: PaxRecords): PaxSparse | undefined {
  const texts = new Map(records.map(([key, value]) => [key, decodeName(value)]))
  const number = (key: string): number => parsePaxNumber(key, texts.get(key) ?? '')
  const name = texts.get('GNU.sparse.name')
  if (texts.get('GNU.sparse.major') === '1' && texts.get('GNU.sparse.minor') === '0')
    return { kind: 'map-in-body', size: number('GNU.sparse.realsize'), name }
  if (texts.has('GNU.sparse.major'))
    throw new HeaderError('a sparse file has a form that is not known here')
  const numbers = texts.has('GNU.sparse.map')
    ? (texts.get('GNU.sparse.map') ?? '').split(',').filter(part => part !== '')
    : records
        .filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
        .map(([, value]) => decodeName(value))
  if (!texts.has('GNU.sparse.numblocks')) return undefined
  const segments = pairSegments(numbers.map(text => parsePaxNumber('GNU.sparse.map', text)))
  if (segments.length !== number('GNU.sparse.numblocks'))
    throw new HeaderError('the map of a sparse file does not have the parts that it announces')
  return { kind: 'map', map: { size: number('GNU.sparse.size'), segments }, name }
}

function pairSegments(numbers: readonly number[]): Segment[] {
  const segments: Segment[] = []
  for (let i = 0; i + 1 < numbers.length; i += 2)
    segments.push({ offset: numbers[i] ?? 0, length: numbers[i + 1] ?? 0 })
  return segments
}

/** The map before the data of sparse 1.0: a number of parts, then offset and length of each, a line for each number. */
export interface BodyMapReader {
  /** Takes the next block of the body; the segments once they are complete. @throws HeaderError */
  add(block: Buffer): readonly Segment[] | undefined
}

/** @throws HeaderError where the map is longer than `maxBytes` */
export function createBodyMapReader(maxBytes: number): BodyMapReader {
  const blocks: Buffer[] = []
  let count: number | undefined
  let lines = 0
  return {
    add: block => {
      if ((blocks.length + 1) * blockSize > maxBytes)
        throw new HeaderError(`the map of a sparse file is longer than ${maxBytes} bytes`)
      blocks.push(Buffer.from(block))
      count ??= parsePaxNumber(
        'number of sparse parts',
        block.toString('latin1').split('\n', 1)[0] ?? '',
      )
      for (const byte of block) if (byte === 0x0a) lines++
      if (lines < 1 + 2 * count) return undefined
      const numbers = Buffer.concat(blocks)
        .toString('latin1')
        .split('\n', 1 + 2 * count)
        .slice(1)
      return pairSegments(numbers.map(text => parsePaxNumber('sparse part', text)))
    },
  }
}

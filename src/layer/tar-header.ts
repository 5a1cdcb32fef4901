// The 512-byte header block of tar: reading what v7, ustar, GNU, star and pax writers make of it, and writing ustar.

import { decodeName } from './name-bytes.ts'

/** Everything in a tar is a multiple of these bytes. */
export const blockSize = 512

/** Bytes of a body up to the next header. */
export function paddedSize(size: number): number {
  return Math.ceil(size / blockSize) * blockSize
}

/** A header block's fields, before pax records and GNU extensions change them. */
export interface RawHeader {
  readonly name: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  /** One character; `\0` from v7 writers. */
  readonly typeFlag: string
  readonly linkName: string
  readonly isGnu: boolean
  readonly deviceMajor: number
  readonly deviceMinor: number
}

/** Why a block is no header. */
export class HeaderError extends Error {}

/** True for a block of zeros: two of them end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  if (block[0] !== 0) return false
  for (let i = 0; i < blockSize; i++) if (block[i] !== 0) return false
  return true
}

/** @throws HeaderError for a wrong checksum or a field that is no number */
export function decodeHeader(block: Buffer): RawHeader {
  if (!hasRightChecksum(block)) throw new HeaderError('the checksum of a header is wrong')
  const magic = block.toString('latin1', 257, 265)
  const isPosix = magic.startsWith('ustar\0')
  const isGnu = magic === 'ustar  \0'
  const typeFlag = block.toString('latin1', 156, 157)
  const hasDevice = (isPosix || isGnu) && (typeFlag === '3' || typeFlag === '4')
  return {
    name: nameOf(block, isPosix),
    mode: numberField(block, 100, 8, 'mode') & 0o7777,
    uid: numberField(block, 108, 8, 'uid'),
    gid: numberField(block, 116, 8, 'gid'),
    size: numberField(block, 124, 12, 'size'),
    mtime: numberField(block, 136, 12, 'mtime'),
    typeFlag,
    linkName: textField(block, 157, 100),
    isGnu,
    deviceMajor: hasDevice ? numberField(block, 329, 8, 'devmajor') : 0,
    deviceMinor: hasDevice ? numberField(block, 337, 8, 'devminor') : 0,
  }
}

function nameOf(block: Buffer, isPosix: boolean): string {
  const name = textField(block, 0, 100)
  if (!isPosix || block[345] === 0) return name
  // star ends the block with `tar\0` and keeps times where the last bytes of the prefix would be.
  const isStar = block.toString('latin1', 508, 512) === 'tar\0'
  return `${textField(block, 345, isStar ? 131 : 155)}/${name}`
}

/** The sum of all bytes with the checksum's own eight taken as spaces; old writers added signed bytes. */
function hasRightChecksum(block: Buffer): boolean {
  const stored = parseOctal(block, 148, 8)
  let unsigned = 8 * 0x20
  let high = 0
  for (let i = 0; i < blockSize; i++) {
    if (i === 148) i = 156
    const byte = block[i] ?? 0
    unsigned += byte
    if (byte > 127) high++
  }
  return stored === unsigned || stored === unsigned - 256 * high
}

/** A name field: bytes up to the first NUL. */
function textField(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start)
  const stop = end < 0 || end > start + length ? start + length : end
  return decodeName(block.subarray(start, stop))
}

/** Octal digits, or with the top bit set a big-endian number in two's complement (GNU and star, "base-256"). */
export function numberField(block: Buffer, start: number, length: number, field: string): number {
  const first = block[start] ?? 0
  const value = first & 0x80 ? parseBase256(block, start, length) : parseOctal(block, start, length)
  if (!Number.isSafeInteger(value))
    throw new HeaderError(`the field ${field} of a header is no number`)
  return value
}

/** NaN for anything but digits with spaces and NULs around them. */
function parseOctal(block: Buffer, start: number, length: number): number {
  let value = 0
  let at = start
  const end = start + length
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++
  for (; at < end; at++) {
    const digit = (block[at] ?? 0) - 0x30
    if (digit < 0 || digit > 7) break
    value = value * 8 + digit
  }
  for (; at < end; at++) if (block[at] !== 0x20 && block[at] !== 0) return Number.NaN
  return value
}

function parseBase256(block: Buffer, start: number, length: number): number {
  const isNegative = ((block[start] ?? 0) & 0x40) !== 0
  let value = BigInt((block[start] ?? 0) & 0x7f)
  for (let i = start + 1; i < start + length; i++) value = (value << 8n) | BigInt(block[i] ?? 0)
  if (isNegative) value -= 1n << BigInt(length * 8 - 1)
  return Number(value)
}

/** What a ustar header holds; whoever writes it has put what does not fit into pax records before. */
export interface HeaderFields {
  /** At most 100 bytes, and 155 for the prefix. */
  readonly name: Buffer
  readonly prefix?: Buffer
  readonly linkName: Buffer
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
  readonly typeFlag: string
  readonly deviceMajor: number
  readonly deviceMinor: number
}

/** Largest owner, group and device number that ustar's octal fields hold. */
export const largestId = 0o7777777
/** As largestId, of sizes and times. */
export const largestSize = 0o77777777777

/** Writes a ustar header at `at` of a buffer that is zero there; user and group names stay empty: they belong to a host. */
export function encodeHeader(target: Buffer, at: number, fields: HeaderFields): void {
  fields.name.copy(target, at)
  writeOctal(target, at + 100, 7, fields.mode)
  writeOctal(target, at + 108, 7, fields.uid)
  writeOctal(target, at + 116, 7, fields.gid)
  writeOctal(target, at + 124, 11, fields.size)
  writeOctal(target, at + 136, 11, fields.mtime)
  target.write('        ', at + 148, 'latin1')
  target.write(fields.typeFlag, at + 156, 'latin1')
  fields.linkName.copy(target, at + 157)
  target.write('ustar\x0000', at + 257, 'latin1')
  writeOctal(target, at + 329, 7, fields.deviceMajor)
  writeOctal(target, at + 337, 7, fields.deviceMinor)
  fields.prefix?.copy(target, at + 345)
  let sum = 0
  for (let i = at; i < at + blockSize; i++) sum += target[i] ?? 0
  writeOctal(target, at + 148, 6, sum)
  target[at + 154] = 0
}

function writeOctal(target: Buffer, at: number, digits: number, value: number): void {
  let left = value
  for (let i = digits - 1; i >= 0; i--) {
    target[at + i] = 0x30 + (left % 8)
    left = Math.floor(left / 8)
  }
}

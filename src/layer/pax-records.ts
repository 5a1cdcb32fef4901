// The records of pax extended headers (POSIX.1-2017 pax(1) "pax Extended Header"): `length key=value\n`. Values are bytes:
// extended attributes may hold anything, NUL and line breaks too.

import { decodeName, encodeName } from './name-bytes.ts'
import { HeaderError } from './tar-header.ts'

/** Keys in the order of the header; GNU's sparse 0.0 repeats some, so this is a list. */
export type PaxRecords = readonly (readonly [key: string, value: Buffer])[]

/** @throws HeaderError where lengths do not fit */
export function parsePaxRecords(bytes: Buffer): PaxRecords {
  const records: [string, Buffer][] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = space < 0 ? Number.NaN : parseLength(bytes.toString('latin1', at, space))
    const end = at + length
    if (!(end > space + 2 && end <= bytes.length) || bytes[end - 1] !== 0x0a)
      throw new HeaderError('a record of a pax header has a wrong length')
    const equals = bytes.indexOf(0x3d, space)
    if (equals < 0 || equals >= end || equals === space + 1)
      throw new HeaderError('a record of a pax header has no key')
    records.push([
      decodeName(bytes.subarray(space + 1, equals)),
      Buffer.from(bytes.subarray(equals + 1, end - 1)),
    ])
    at = end
  }
  return records
}

function parseLength(digits: string): number {
  return /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : Number.NaN
}

/** One record; its length counts its own digits. */
export function formatPaxRecord(key: string, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? encodeName(value) : value
  const rest = Buffer.concat([
    Buffer.from(' '),
    encodeName(key),
    Buffer.from('='),
    bytes,
    Buffer.from('\n'),
  ])
  let length = rest.length
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length
  return Buffer.concat([Buffer.from(`${length}`), rest])
}

/** A decimal time such as `-1.25`, as whole seconds rounded down and nanoseconds. @throws HeaderError */
export function parsePaxTime(text: string): { seconds: number; nanoseconds: number } {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text)
  if (match === null) throw new HeaderError(`"${text.slice(0, 40)}" is no time`)
  const [, sign, whole = '0', fraction = ''] = match
  const seconds = Number(whole)
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (sign !== '-') return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds }
}

/** A decimal number of 0 or more. @throws HeaderError */
export function parsePaxNumber(key: string, text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new HeaderError(`the pax record ${key} is no number`)
  return value
}

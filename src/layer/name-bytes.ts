// File names are bytes. As strings they are UTF-8, and a byte that is part of no character is the lone surrogate
// U+DC00 + byte (Python's surrogateescape), so that every name survives; native/ reads and makes the same form.

import { isUtf8 } from 'node:buffer'

/** Bytes of a name as a string, without loss. */
export function decodeName(bytes: Buffer): string {
  return isUtf8(bytes) ? bytes.toString('utf8') : decodeEscaped(bytes)
}

function decodeEscaped(bytes: Buffer): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const length = characterLength(bytes, at)
    if (length === 0) text += String.fromCharCode(0xdc00 + (bytes[at] ?? 0))
    else text += bytes.toString('utf8', at, at + length)
    at += Math.max(length, 1)
  }
  return text
}

/** Bytes of the UTF-8 character at `at`, or 0 where none starts there (RFC 3629: no surrogates, no long forms). */
function characterLength(bytes: Buffer, at: number): number {
  const lead = bytes[at] ?? 0
  if (lead < 0x80) return 1
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0
}

/** The bytes that decodeName was given. */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8')
  const parts = Array.from(name, character => {
    const point = character.codePointAt(0) ?? 0
    return point >= 0xdc80 && point <= 0xdcff
      ? Buffer.from([point - 0xdc00])
      : Buffer.from(character, 'utf8')
  })
  return Buffer.concat(parts)
}

/** Orders names by their bytes, which is not JavaScript's order beyond U+FFFF. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(encodeName(a), encodeName(b))
}

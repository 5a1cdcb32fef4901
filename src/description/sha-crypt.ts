// SHA-512 password hashes, `$6$`, by Ulrich Drepper's public specification "Unix crypt using SHA-256 and SHA-512". It is
// here because the hash must not depend on what the build machine has installed, and the salt must repeat.

import { createHash } from 'node:crypto'

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const defaultRounds = 5000

/** The crypt(5) hash of a password. The salt has up to 16 characters of `./0-9A-Za-z`; more are cut off. */
export function sha512Crypt(password: string, salt: string, rounds?: number): string {
  const key = Buffer.from(password, 'utf8')
  const usedSalt = salt.slice(0, 16)
  const saltBytes = Buffer.from(usedSalt, 'utf8')
  const count = Math.min(Math.max(rounds ?? defaultRounds, 1000), 999_999_999)
  const digest = stretch(firstDigest(key, saltBytes), key, saltBytes, count)
  return `$6$${rounds === undefined ? '' : `rounds=${count}$`}${usedSalt}$${encode(digest)}`
}

/** A salt that is the same for the same words and differs for others. */
export function deriveSalt(...words: readonly string[]): string {
  const digest = createHash('sha512').update(words.join('\0')).digest()
  return Array.from(digest.subarray(0, 16), byte => alphabet.charAt(byte & 63)).join('')
}

function sha512(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha512')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** The block repeated and cut to a length. */
function repeatTo(length: number, block: Buffer): Buffer {
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, block)
}

/** Steps 1 to 12 of the specification. */
function firstDigest(key: Buffer, salt: Buffer): Buffer {
  const alternate = sha512(key, salt, key)
  const parts = [key, salt, repeatTo(key.length, alternate)]
  for (let bits = key.length; bits > 0; bits >>>= 1) parts.push(bits & 1 ? alternate : key)
  return sha512(...parts)
}

/** Steps 13 to 21. */
function stretch(first: Buffer, key: Buffer, salt: Buffer, rounds: number): Buffer {
  const p = repeatTo(key.length, sha512(...Array.from({ length: key.length }, () => key)))
  const saltRepeats = 16 + (first[0] ?? 0)
  const s = repeatTo(salt.length, sha512(...Array.from({ length: saltRepeats }, () => salt)))
  let digest = first
  for (let round = 0; round < rounds; round++) {
    const isOdd = (round & 1) === 1
    const parts = [isOdd ? p : digest]
    if (round % 3 !== 0) parts.push(s)
    if (round % 7 !== 0) parts.push(p)
    parts.push(isOdd ? digest : p)
    digest = sha512(...parts)
  }
  return digest
}

/** Step 22: three bytes at a time from places 21 apart, least significant six bits first. */
function encode(digest: Buffer): string {
  let text = ''
  const write = (value: number, length: number): void => {
    for (let rest = value, left = length; left > 0; left--, rest >>>= 6)
      text += alphabet.charAt(rest & 63)
  }
  let [a, b, c] = [0, 21, 42]
  for (let group = 0; group < 21; group++) {
    write(((digest[a] ?? 0) << 16) | ((digest[b] ?? 0) << 8) | (digest[c] ?? 0), 4)
    ;[a, b, c] = [b + 1, c + 1, a + 1]
  }
  write(digest[63] ?? 0, 2)
  return text
}

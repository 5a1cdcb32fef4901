// Signing keys as apt wants them: one binary keyring. People hand out ASCII armour or binary packets, sometimes several
// in one file (RFC 9580 section 6).

import { KauriError, type SourcePosition } from '../core/errors.ts'

const maxKeyBytes = 4 * 1024 * 1024

/**
 * The binary form of a key file. `name` is what messages call it.
 * @throws REPOSITORY_INVALID where the bytes are no OpenPGP public key, such as the error page of a web server
 */
export function binaryKeyring(content: Buffer, name: string, where?: SourcePosition): Buffer {
  const isArmored = content.subarray(0, maxKeyBytes).includes('-----BEGIN PGP')
  const keyring = isArmored ? readArmor(content.toString('latin1')) : content
  if (content.length <= maxKeyBytes && startsWithPublicKey(keyring)) return keyring
  throw new KauriError('REPOSITORY_INVALID', `${name} is not an OpenPGP public key`, {
    hint: 'give the address of the key that signs the repository, armoured or binary',
    where,
  })
}

function readArmor(text: string): Buffer {
  const blocks = text.matchAll(
    /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([\s\S]*?)-----END PGP PUBLIC KEY BLOCK-----/g,
  )
  return Buffer.concat([...blocks].map(([, body = '']) => Buffer.from(armorData(body), 'base64')))
}

/** The base64 lines: behind the headers, which an empty line ends, and before the checksum. */
function armorData(body: string): string {
  const lines = body.split(/\r?\n/).map(line => line.trim())
  const headersEnd = lines.findIndex(line => line === '')
  const hasHeaders = lines.slice(0, Math.max(headersEnd, 0)).every(line => line.includes(': '))
  const data = headersEnd >= 0 && hasHeaders ? lines.slice(headersEnd + 1) : lines
  const checksum = data.findIndex(line => line.startsWith('='))
  return (checksum < 0 ? data : data.slice(0, checksum)).join('')
}

/** Packet tag 6, in the old or the new form of packet headers (RFC 9580 section 4.2). */
function startsWithPublicKey(keyring: Buffer): boolean {
  const first = keyring[0] ?? 0
  const isOldFormat = (first & 0xc0) === 0x80
  return isOldFormat ? (first & 0x3c) >> 2 === 6 : (first & 0xc0) === 0xc0 && (first & 0x3f) === 6
}

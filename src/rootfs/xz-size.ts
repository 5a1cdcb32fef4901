// How long an .xz file is when unpacked, from the index at its end (The .xz File Format 1.1.0, sections 2.1.2 and 4), so
// that many small files can go through one decompressor and still be told apart.

const headerBytes = 12
const footerBytes = 12
const footerMagic = 'YZ'

/** The end of a file that holds one stream: its footer, and the index before it where it fits. */
export const xzTailBytes: number = 64 * 1024

/**
 * Unpacked size of a stream, undefined where it is not exactly one stream or the index does not fit the tail.
 * `tail` is the end of the file, at most xzTailBytes of it.
 */
export function xzUnpackedBytes(tail: Buffer, fileBytes: number): number | undefined {
  const footer = tail.subarray(-footerBytes)
  if (footer.length < footerBytes || footer.toString('latin1', 10) !== footerMagic) return undefined
  const indexBytes = (footer.readUInt32LE(4) + 1) * 4
  const index = tail.subarray(tail.length - footerBytes - indexBytes, tail.length - footerBytes)
  if (index.length !== indexBytes || index[0] !== 0) return undefined
  const sizes = readRecords(index)
  if (sizes === undefined) return undefined
  const covered = headerBytes + sizes.packedBytes + indexBytes + footerBytes
  return covered === fileBytes ? sizes.unpackedBytes : undefined
}

interface StreamSizes {
  readonly packedBytes: number
  readonly unpackedBytes: number
}

function readRecords(index: Buffer): StreamSizes | undefined {
  const cursor = { offset: 1 }
  const count = readNumber(index, cursor)
  if (count === undefined || count > index.length) return undefined
  let packedBytes = 0
  let unpackedBytes = 0
  for (let record = 0; record < count; record++) {
    const packed = readNumber(index, cursor)
    const unpacked = readNumber(index, cursor)
    if (packed === undefined || unpacked === undefined) return undefined
    packedBytes += Math.ceil(packed / 4) * 4
    unpackedBytes += unpacked
  }
  return Number.isSafeInteger(packedBytes + unpackedBytes)
    ? { packedBytes, unpackedBytes }
    : undefined
}

/** A number of up to 63 bits, seven to a byte, lowest first; beyond what JavaScript counts exactly it is none. */
function readNumber(bytes: Buffer, cursor: { offset: number }): number | undefined {
  let value = 0
  for (let shift = 1; cursor.offset < bytes.length; shift *= 128) {
    const byte = bytes[cursor.offset++] ?? 0
    value += (byte & 0x7f) * shift
    if (value > Number.MAX_SAFE_INTEGER) return undefined
    if (byte < 0x80) return value
  }
  return undefined
}

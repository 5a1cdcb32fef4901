// Bytes that are checked while they pass: who reads to the end without an error has read what the descriptor names.

import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import type { BlobSource } from './store.ts'

type Named = Pick<Descriptor, 'digest' | 'size'>

/** The same bytes; fails with BLOB_CORRUPT at the end, or as soon as there are too many. Destroying it ends the source. */
export function verifiedStream(source: AsyncIterable<Uint8Array>, named: Named): Readable {
  return Readable.from(verify(source, named), { objectMode: false, highWaterMark: 1024 * 1024 })
}

async function* verify(
  source: AsyncIterable<Uint8Array>,
  { digest, size }: Named,
): AsyncGenerator<Uint8Array> {
  const digester = createDigester()
  let seen = 0
  for await (const chunk of source) {
    seen += chunk.byteLength
    if (seen > size) throw wrongSize(digest, size, `more than ${size}`)
    digester.update(chunk)
    yield chunk
  }
  if (seen !== size) throw wrongSize(digest, size, seen)
  requireDigest(digest, digester.digest())
}

/** @throws BLOB_CORRUPT where bytes are not what their name says */
export function requireDigest(digest: Digest, actual: Digest): void {
  if (actual !== digest)
    throw new KauriError('BLOB_CORRUPT', `the blob ${digest} is damaged: its bytes are ${actual}`, {
      hint: 'remove the image and build, import or load it again',
    })
}

/** The error of a blob whose length is not the descriptor's. */
export function wrongSize(digest: string, size: number, actual: number | string): KauriError {
  return new KauriError('BLOB_CORRUPT', `the blob ${digest} has ${actual} bytes, not ${size}`, {
    hint: 'remove the image and build, import or load it again',
  })
}

/** Largest document, such as a manifest, that is read into memory. */
const maxDocumentBytes = 4 * 1024 * 1024

/** A small blob, whole and verified. @throws BLOB_NOT_FOUND, BLOB_CORRUPT, ARCHIVE_INVALID where it is too large for a document */
export async function readBlob(
  store: Pick<BlobSource, 'openBlob' | 'readWhole'>,
  descriptor: Descriptor,
  maxBytes: number = maxDocumentBytes,
): Promise<Uint8Array> {
  if (descriptor.size > maxBytes)
    throw new KauriError(
      'ARCHIVE_INVALID',
      `${descriptor.mediaType} ${descriptor.digest} has ${descriptor.size} bytes; at most ${maxBytes} are read`,
    )
  return (await store.readWhole?.(descriptor)) ?? (await buffer(await store.openBlob(descriptor)))
}

// Blobs over HTTP: whole or a range of one, and what tells whether it is there.

import { createReadStream, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { type Digest, isDigest, parseDigest } from '../oci/digest.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { Refusal } from './serve-error.ts'

/** @throws Refusal for anything but sha256 */
export function digestOfTarget(text: string): Digest {
  if (isDigest(text)) return parseDigest(text)
  throw new Refusal(400, 'DIGEST_INVALID', `"${text.slice(0, 100)}" is not a sha256 digest`)
}

/** GET and HEAD of a blob. */
export async function serveBlob(
  store: DiskStore,
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const digest = digestOfTarget(target)
  const file = store.blobPath(digest)
  const size = statSync(file, { throwIfNoEntry: false })?.size
  // Asked for, so that garbage collection keeps it while it is read.
  if (size === undefined || !(await store.hasBlob(digest)))
    throw new Refusal(404, 'BLOB_UNKNOWN', `the blob ${digest} is not here`)
  const range = rangeOf(request, size)
  response.setHeader('Accept-Ranges', 'bytes')
  response.setHeader('Content-Type', 'application/octet-stream')
  response.setHeader('Docker-Content-Digest', digest)
  response.setHeader('ETag', `"${digest}"`)
  const { first, last } = range ?? { first: 0, last: size - 1 }
  response.setHeader('Content-Length', last - first + 1)
  if (range !== undefined) response.setHeader('Content-Range', `bytes ${first}-${last}/${size}`)
  response.writeHead(range === undefined ? 200 : 206)
  if (request.method === 'HEAD' || size === 0) {
    response.end()
    return
  }
  const stream = createReadStream(file, { start: first, end: last, highWaterMark: 512 * 1024 })
  await pipeline(stream, response)
}

interface ByteRange {
  readonly first: number
  readonly last: number
}

/** One range of RFC 9110 section 14; several, and other units, are answered with the whole. */
function rangeOf({ headers }: IncomingMessage, size: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(headers.range?.trim() ?? '')
  const [, from = '', to = ''] = match ?? []
  if (match === null || (from === '' && to === '')) return undefined
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (first > last)
    throw new Refusal(416, 'SIZE_INVALID', `the blob has ${size} bytes`, {
      'Content-Range': `bytes */${size}`,
    })
  return { first, last }
}

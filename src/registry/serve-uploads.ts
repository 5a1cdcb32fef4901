// Uploads of blobs: in one piece or in chunks, each into a file of the store's own that nobody sees before its digest is
// right. An upload that nobody continues is dropped after a while; a server that dies leaves what the next one sweeps.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Digest } from '../oci/digest.ts'
import type { BlobBatch, BlobWriter } from '../store/blob-batch.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { Refusal } from './serve-error.ts'

const maxUploads = 256
const idleMs = 30 * 60_000

/** Uploads that are under way. Disposing drops them. */
export interface Uploads extends Disposable {
  /** Begins one; its id. @throws Refusal where there are too many */
  begin(): string
  /** Bytes received so far. @throws Refusal 404 */
  received(id: string): number
  /** Appends a request's body; the bytes there are then. @throws Refusal 416 where the chunk does not fit to what is there */
  append(id: string, request: IncomingMessage): Promise<number>
  /** Ends it: the blob is stored where it has the digest. @throws Refusal, CHECKSUM_MISMATCH */
  finish(id: string, digest: Digest, request: IncomingMessage): Promise<void>
  /** Drops it. @throws Refusal 404 */
  cancel(id: string): void
}

interface Upload {
  readonly batch: BlobBatch
  readonly writer: BlobWriter
  received: number
  isBusy: boolean
}

export function uploadsInto(store: DiskStore): Uploads {
  const uploads = uploadTable()
  return {
    begin() {
      if (uploads.count() >= maxUploads)
        throw new Refusal(429, 'TOOMANYREQUESTS', 'too many uploads are under way', {
          'Retry-After': '30',
        })
      const batch = store.openBatch()
      return uploads.add({ batch, writer: batch.create(), received: 0, isBusy: false })
    },
    received: id => uploads.find(id).received,
    append: async (id, request) => (await receive(uploads, id, request)).received,
    async finish(id, digest, request) {
      const upload = await receive(uploads, id, request)
      upload.isBusy = true
      try {
        upload.writer.finish({ digest })
        await upload.batch.commit()
      } finally {
        uploads.drop(id)
      }
    },
    cancel(id) {
      uploads.find(id)
      uploads.drop(id)
    },
    [Symbol.dispose]: () => uploads.dropAll(),
  }
}

interface UploadTable {
  count(): number
  add(upload: Upload): string
  /** @throws Refusal 404; 409 while another request uses it */
  find(id: string): Upload
  drop(id: string): void
  dropAll(): void
  /** Counts the time of idleness anew; `isUsed`: not at all for now. */
  touch(id: string, isUsed: boolean): void
}

function uploadTable(): UploadTable {
  const uploads = new Map<string, Upload>()
  const timers = new Map<string, NodeJS.Timeout>()
  const drop = (id: string): void => {
    clearTimeout(timers.get(id))
    timers.delete(id)
    const upload = uploads.get(id)
    uploads.delete(id)
    upload?.writer[Symbol.dispose]()
    upload?.batch[Symbol.dispose]()
  }
  const touch = (id: string, isUsed: boolean): void => {
    clearTimeout(timers.get(id))
    timers.delete(id)
    if (!isUsed) timers.set(id, setTimeout(() => drop(id), idleMs).unref())
  }
  return {
    count: () => uploads.size,
    add(upload) {
      const id = randomUUID()
      uploads.set(id, upload)
      touch(id, false)
      return id
    },
    find(id) {
      const upload = uploads.get(id)
      if (upload === undefined)
        throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload')
      if (upload.isBusy)
        throw new Refusal(409, 'BLOB_UPLOAD_INVALID', 'the upload is used by another request')
      return upload
    },
    drop,
    dropAll() {
      for (const id of uploads.keys()) drop(id)
    },
    touch,
  }
}

/** Takes a request's body. Where it breaks off the bytes that came stay, and the client may go on from there. */
async function receive(
  uploads: UploadTable,
  id: string,
  request: IncomingMessage,
): Promise<Upload> {
  const upload = uploads.find(id)
  requireNext(request, upload.received)
  upload.isBusy = true
  uploads.touch(id, true)
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      upload.writer.write(chunk)
      upload.received += chunk.length
    }
  } finally {
    upload.isBusy = false
    uploads.touch(id, false)
  }
  return upload
}

/** A chunk that says where it goes must go behind what is there. */
function requireNext({ headers }: IncomingMessage, received: number): void {
  const range = headers['content-range']
  if (range === undefined) return
  const [, first, last] = /^(?:bytes )?(\d+)-(\d+)(?:\/.*)?$/.exec(range) ?? []
  const length = headers['content-length']
  const isWhole = length === undefined || Number(last) - Number(first) + 1 === Number(length)
  if (first === undefined || Number(first) !== received || !isWhole)
    throw new Refusal(416, 'BLOB_UPLOAD_INVALID', `the next chunk starts at ${received}`, {
      Range: rangeHeader(received),
    })
}

/** What clients read from answers about uploads; `0-0` also stands for nothing, as everywhere. */
export function rangeHeader(received: number): string {
  return `0-${Math.max(0, received - 1)}`
}

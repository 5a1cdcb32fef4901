// Uploads of blobs: in one piece or in chunks, each into a file of the store's own that nobody sees before its digest is right.
// They go on after the server was started anew, and at another server of the store.

import type { IncomingMessage } from 'node:http'
import type { Digest } from '../oci/digest.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import type { DiskStore } from '../store/disk-store.ts'
import { type OpenUpload, uploadFiles } from '../store/upload-files.ts'
import { Refusal } from './serve-error.ts'

const maxUploads = 256
/** A push may take so long from its first blob to the manifest that names it. */
const leaseMs = 2 * 60 * 60_000

/** Uploads that are under way. Disposing lets garbage collection have what no manifest names. */
export interface Uploads extends Disposable {
  /** Begins one; its id. @throws Refusal where there are too many */
  begin(): string
  /** Bytes received so far. @throws Refusal 404, 409 while another request uses it */
  received(id: string): Promise<number>
  /** Appends a request's body; the bytes there are then. @throws Refusal 416 where the chunk does not fit to what is there */
  append(id: string, request: IncomingMessage): Promise<number>
  /** Ends it: the blob is stored where it has the digest. @throws Refusal, CHECKSUM_MISMATCH */
  finish(id: string, digest: Digest, request: IncomingMessage): Promise<void>
  /** Drops it. @throws Refusal 404 */
  cancel(id: string): Promise<void>
}

export function uploadsInto(store: DiskStore): Uploads {
  const files = uploadFiles(store.root)
  const lease = storeLease(store)
  const find = async (id: string): Promise<OpenUpload> => {
    const upload = await files.open(id)
    if (upload === undefined)
      throw new Refusal(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload')
    if (upload !== 'busy') return upload
    throw new Refusal(409, 'BLOB_UPLOAD_INVALID', 'the upload is used by another request')
  }
  return {
    begin() {
      lease.renew()
      if (files.count() >= maxUploads)
        throw new Refusal(429, 'TOOMANYREQUESTS', 'too many uploads are under way', {
          'Retry-After': '30',
        })
      return files.create()
    },
    async received(id) {
      using upload = await find(id)
      return upload.received()
    },
    async append(id, request) {
      using upload = await find(id)
      await receive(upload, request)
      return upload.received()
    },
    async finish(id, digest, request) {
      lease.renew()
      using upload = await find(id)
      await receive(upload, request)
      using batch = store.openBatch()
      upload.finish(batch, { digest })
      await batch.commit()
    },
    async cancel(id) {
      using upload = await find(id)
      upload.remove()
    },
    [Symbol.dispose]: () => lease[Symbol.dispose](),
  }
}

/** Where a body breaks off the bytes that came stay, and the client may go on from there. */
async function receive(upload: OpenUpload, request: IncomingMessage): Promise<void> {
  requireNext(request, upload.received())
  await upload.append(request)
}

/**
 * While a batch is open garbage collection keeps what was stored since, so that the blobs of a push wait for their manifest. One
 * that is open for too long makes way for a newer one, and goes when that has been open as long.
 */
function storeLease(store: DiskStore): Disposable & { renew(): void } {
  let leases: { readonly batch: BlobBatch; readonly sinceMs: number }[] = []
  let timer: NodeJS.Timeout | undefined
  const drop = (): void => {
    clearTimeout(timer)
    for (const { batch } of leases) batch[Symbol.dispose]()
    leases = []
  }
  return {
    renew() {
      const nowMs = Date.now()
      const newest = leases.at(-1)
      if (newest === undefined || nowMs - newest.sinceMs > leaseMs)
        leases.push({ batch: store.openBatch(), sinceMs: nowMs })
      while (leases.length > 2) leases.shift()?.batch[Symbol.dispose]()
      clearTimeout(timer)
      timer = setTimeout(drop, leaseMs).unref()
    },
    [Symbol.dispose]: drop,
  }
}

/** A chunk that says where it goes must go behind what is there. */
function requireNext({ headers }: IncomingMessage, received: number): void {
  const range = headers['content-range']
  if (range === undefined) return
  const [, first, last] = /^(?:bytes )?(\d{1,16})-(\d{1,16})(?:\/.*)?$/.exec(range) ?? []
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

// Takes an image archive in: every file goes into a batch of the store, hashed, before anybody knows what it is. The
// documents that tell come at the end in some archives, and standard input cannot be read twice.

import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Extract } from 'tar-stream'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { decompress } from '../layer/decompress.ts'
import { type ArchiveLimits, defaultArchiveLimits } from '../layer/layer.ts'
import type { BlobBatch } from '../store/blob-batch.ts'
import { pendingBlobs } from '../store/staged-store.ts'
import type { BlobSource, StoredBlob } from '../store/store.ts'
import { checkTarWhilePassing } from './check-tar.ts'

export interface ArchiveContents {
  /** The file of that name; links inside the archive are followed. */
  find(name: string): StoredBlob | undefined
  /** Names of the files, without those of links. */
  names(): Iterable<string>
  /** Blobs of the archive, and of the store where the archive has not got them. */
  readonly blobs: BlobSource
}

/** Image archives hold documents and layers; a root file system holds many thousand files. */
const documentLimits = { maxEntries: 20_000, maxDepth: 8 } as const

export interface ReceiveOptions {
  readonly name: string
  /** Of the archive and of each layer in it; by default those that real ones stay below. */
  readonly limits?: ArchiveLimits | undefined
  readonly signal?: AbortSignal | undefined
}

/** Reads the whole archive, packed in any way, into the batch. @throws ARCHIVE_INVALID, DISK_FULL, CANCELLED */
export async function receiveArchive(
  source: AsyncIterable<Uint8Array>,
  batch: BlobBatch,
  store: BlobSource,
  options: ReceiveOptions,
): Promise<ArchiveContents> {
  const { name, signal } = options
  const limits = { ...(options.limits ?? defaultArchiveLimits), ...documentLimits }
  const files = new Map<string, StoredBlob>()
  const links = new Map<string, string>()
  const { bytes } = await decompress(source, { name, limits, signal })
  // tar-stream takes what it is told; the limits, and what no archive may say, are checked before it sees the bytes.
  const checked = checkTarWhilePassing(bytes, { name, limits })
  await readEntries(checked, signal, async entry => {
    const { type, linkname } = entry.header
    const file = cleanName(entry.header.name)
    if (type === 'file') files.set(file, await batch.put(bytesOf(entry), { signal }))
    else if (type === 'link') links.set(file, cleanName(linkname ?? ''))
    else if (type === 'symlink')
      links.set(file, cleanName(path.posix.join(path.posix.dirname(file), linkname ?? '')))
    else if (type !== 'directory') throw noImageArchive(`${file} is a ${type}`)
  })
  return {
    find: wanted => followLinks(wanted, files, links),
    names: () => files.keys(),
    blobs: pendingBlobs(batch, store),
  }
}

/** One entry as it is read: its header, and its bytes. */
type Entry = Extract extends AsyncIterable<infer Item> ? Item : never

/** Hands every entry of a tar to `take`, one after the other. */
async function readEntries(
  tar: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  take: (entry: Entry) => Promise<void>,
): Promise<void> {
  const { extract } = await import('tar-stream')
  const reader = extract()
  const consume = async (): Promise<void> => {
    for await (const entry of reader) {
      await take(entry)
      entry.resume()
    }
  }
  const results = await Promise.allSettled([consume(), pipeline(tar, reader)])
  if (signal?.aborted) throw cancelled(signal)
  const failures = results
    .filter(result => result.status === 'rejected')
    .map(({ reason }) => reason)
  // A failure on one side breaks the stream on the other; ours is the one that says what happened.
  const failure: unknown = failures.find(reason => reason instanceof KauriError) ?? failures[0]
  if (failure !== undefined) throw failure
}

async function* bytesOf(entry: Entry): AsyncGenerator<Uint8Array> {
  for await (const chunk of entry) if (chunk instanceof Uint8Array) yield chunk
}

function cleanName(name: string): string {
  return path.posix.normalize(name).replace(/^\/+|\/+$/g, '')
}

/** What the other kind of tar is called, and which command takes it. */
export function noImageArchive(why: string): KauriError {
  return new KauriError('ARCHIVE_INVALID', `this is no image archive: ${why}`, {
    hint: 'kauri import takes the tar of a root file system',
  })
}

const maxLinks = 8

/** Old archives name a layer that several images share once, and link to it. Links lead to names of the archive only. */
function followLinks(
  wanted: string,
  files: ReadonlyMap<string, StoredBlob>,
  links: ReadonlyMap<string, string>,
): StoredBlob | undefined {
  let name: string | undefined = cleanName(wanted)
  for (let count = 0; count <= maxLinks && name !== undefined; count++) {
    const found = files.get(name)
    if (found !== undefined) return found
    name = links.get(name)
  }
  return undefined
}

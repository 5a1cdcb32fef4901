// Takes an image archive in: every file goes into a batch of the store, hashed, before anybody knows what it is. The
// documents that tell come at the end in some archives, and standard input cannot be read twice.

import { createReadStream } from 'node:fs'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { cancelled } from '../core/process.ts'
import { decompress } from '../layer/decompress.ts'
import { type ArchiveLimits, defaultArchiveLimits } from '../layer/layer.ts'
import type { TarEntry } from '../layer/tar-entry.ts'
import { TarReader } from '../layer/tar-reader.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { BlobBatch, BlobWriter } from '../store/blob-batch.ts'
import type { BlobSource, StoredBlob } from '../store/store.ts'
import { verifiedStream, wrongSize } from '../store/verified-stream.ts'

export interface ArchiveContents {
  /** The file of that name; links inside the archive are followed. */
  find(name: string): StoredBlob | undefined
  /** Blobs of the archive, and of the store where the archive has not got them. */
  readonly blobs: BlobSource
}

/** Image archives hold documents and layers; a root file system holds many thousand files. */
const archiveLimits: ArchiveLimits = { ...defaultArchiveLimits, maxEntries: 20_000, maxDepth: 8 }

export interface ReceiveOptions {
  readonly name: string
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
  const files = new Map<string, StoredBlob>()
  const links = new Map<string, string>()
  using receiver = createReceiver(batch, files, links)
  const reader = new TarReader(receiver, { archive: name, limits: archiveLimits })
  const { bytes } = await decompress(source, { name, limits: archiveLimits, signal })
  try {
    for await (const chunk of bytes) reader.write(chunk)
  } catch (error) {
    throw signal?.aborted ? cancelled(signal) : error
  }
  reader.end()
  return { find: wanted => followLinks(wanted, files, links), blobs: pendingBlobs(batch, store) }
}

interface Receiver extends Disposable {
  onEntry(entry: TarEntry): void
  onData(bytes: Buffer): void
  onEntryEnd(entry: TarEntry): void
}

function createReceiver(
  batch: BlobBatch,
  files: Map<string, StoredBlob>,
  links: Map<string, string>,
): Receiver {
  let writer: BlobWriter | undefined
  return {
    onEntry({ path: name, type, linkTarget }) {
      if (type === 'file') writer = batch.create()
      else if (type === 'link') links.set(name, linkTarget)
      else if (type === 'symlink')
        links.set(name, path.posix.join(path.posix.dirname(name), linkTarget))
      else if (type !== 'directory') throw noImageArchive(`it holds the device ${name}`)
    },
    onData: bytes => writer?.write(bytes),
    onEntryEnd({ path: name, type }) {
      if (type !== 'file' || writer === undefined) return
      files.set(name, writer.finish())
      writer = undefined
    },
    [Symbol.dispose]: () => writer?.[Symbol.dispose](),
  }
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
  let name: string | undefined = path.posix.normalize(wanted)
  for (let count = 0; count <= maxLinks && name !== undefined; count++) {
    const found = files.get(name)
    if (found !== undefined) return found
    name = links.get(name)
  }
  return undefined
}

function pendingBlobs(batch: BlobBatch, store: BlobSource): BlobSource {
  return {
    hasBlob: async digest =>
      batch.findPending(digest) !== undefined || (await store.hasBlob(digest)),
    async openBlob(descriptor: Descriptor) {
      const pending = batch.findPending(descriptor.digest)
      if (pending === undefined) return await store.openBlob(descriptor)
      if (pending.stored.size !== descriptor.size)
        throw wrongSize(descriptor.digest, descriptor.size, pending.stored.size)
      return verifiedStream(createReadStream(pending.file), descriptor)
    },
  }
}

// Where images are: blobs by digest, and names for some of them. A disk layout, memory and a registry implement the
// same interface, so one copy moves images between any two of them.

import type { Readable } from 'node:stream'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Reference } from '../oci/reference.ts'

export interface PutOptions {
  /** Refuse the bytes unless they match; nothing becomes visible before they do. */
  readonly expected?: { readonly digest: Digest; readonly size?: number }
  /** What the bytes are; registries keep documents and other blobs apart. */
  readonly mediaType?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** For stores that take a blob in several attempts. */
export interface SendOptions extends PutOptions {
  readonly expected: { readonly digest: Digest; readonly size: number }
  /** Bytes handed over so far; may go back where an attempt begins anew. */
  readonly onProgress?: (doneBytes: number) => void
}

export interface StoredBlob {
  readonly digest: Digest
  readonly size: number
}

export interface NamedImage {
  readonly reference: Reference
  readonly descriptor: Descriptor
}

/** Blobs to read. */
export interface BlobSource {
  /** True when the blob can be opened; of what type it is says where registries look for it. */
  hasBlob(digest: Digest, mediaType?: string): Promise<boolean>
  /**
   * The blob's bytes; the stream fails with BLOB_CORRUPT at its end where size or digest are not the descriptor's.
   * The caller consumes or destroys it.
   * @throws BLOB_NOT_FOUND
   */
  openBlob(descriptor: Descriptor): Promise<Readable>
  /** The same without the check at the end, for those who check what they get, and read all of it. */
  readonly openUnverified?: (descriptor: Descriptor) => Promise<AsyncIterable<Uint8Array>>
  /**
   * The same again from a few buffers that are used in turns: a chunk is the caller's only until it asks for the next one.
   * For targets that take such chunks.
   */
  readonly openLent?: (descriptor: Descriptor) => Promise<AsyncIterable<Uint8Array>>
  /** The same for a small blob, whole, where that is faster than a stream; use `readBlob` of verified-stream.ts. */
  readonly readWhole?: (descriptor: Descriptor) => Promise<Uint8Array>
}

/** Blobs and the names of images. */
export interface ImageStore extends BlobSource {
  /**
   * Stores bytes; idempotent; a returned value means they are durable and named by their digest. Where the expected
   * blob is there already the source may be left unread: the caller closes it. Chunks must not change once they are
   * handed over, but where the store takes lent ones.
   * @throws CHECKSUM_MISMATCH, DISK_FULL
   */
  putBlob(source: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<StoredBlob>
  /** A chunk that was handed over is left alone when the next one is asked for: it may be used again. */
  readonly takesLent?: true
  /** The same from a source that is opened again where an attempt fails, and not at all where nothing need be sent. */
  readonly sendBlob?: (
    open: () => Promise<AsyncIterable<Uint8Array>>,
    options: SendOptions,
  ) => Promise<void>
  /** The descriptor that a name stands for, or undefined. */
  findImage(reference: Reference): Promise<Descriptor | undefined>
  /**
   * Names an image; atomic; replaces what had the name. The manifest and all it refers to are stored already.
   * @throws BLOB_NOT_FOUND where they are not, CHECKSUM_MISMATCH where the name says another digest
   */
  tagImage(reference: Reference, descriptor: Descriptor): Promise<void>
  /** Takes a name away; true when it was there. Blobs stay until garbage collection. */
  untagImage(reference: Reference): Promise<boolean>
  /** Every name, sorted by reference. */
  listImages(): Promise<NamedImage[]>
}

// Trees and layer tars (image-spec v1.1.1 layer.md). Three verbs: `packTree` writes a change as a reproducible tar,
// `applyTar` puts a tar onto a tree, and the codecs in compression.ts pack the bytes. All work streams.

import type { Emit } from '../core/events.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import type { Compression } from '../oci/media-types.ts'

/** What packing needs beside the tree. */
export interface PackOptions {
  /** Times later than this are set to it, in seconds since 1970. */
  readonly clampMtime?: number
  /** True leaves the entry, and all below it, out. Paths are relative without a leading slash: `etc/hosts`. */
  readonly exclude?: (path: string) => boolean
  readonly signal?: AbortSignal | undefined
  readonly emit?: Emit
}

/** Limits for archives from outside (../docs/security.md); each may be raised by the caller. */
export interface ArchiveLimits {
  readonly maxEntries: number
  readonly maxPathBytes: number
  readonly maxDepth: number
  readonly maxHeaderBytes: number
  /** Uncompressed bytes in all. */
  readonly maxTotalBytes: number
  /** Uncompressed bytes for each compressed one, after the first MiB. */
  readonly maxRatio: number
}

export const defaultArchiveLimits: ArchiveLimits = {
  maxEntries: 10_000_000,
  maxPathBytes: 4096,
  maxDepth: 512,
  maxHeaderBytes: 1024 * 1024,
  maxTotalBytes: 1024 ** 4,
  maxRatio: 1000,
}

/** A tar as it passed through a compressor: both names and both sizes. */
export interface PackedLayer {
  readonly diffId: DiffId
  readonly digest: Digest
  readonly tarBytes: number
  readonly packedBytes: number
  readonly compression: Compression
}

// Trees and layer tars (image-spec v1.1.1 layer.md). Three verbs: `packTree` writes a change as a reproducible tar,
// `applyTar` puts a tar onto a tree, and the codecs in compression.ts pack the bytes. All work streams.

import type { Emit } from '../core/events.ts'
import type { DiffId, Digest } from '../oci/digest.ts'
import type { Compression } from '../oci/media-types.ts'

/** Where the entries of a layer are; rootfs/ calls it a ChangeSource. */
export type PackSource =
  /** All of the tree is the layer. */
  | { readonly kind: 'tree'; readonly path: string }
  /** An overlay's upper directory, whose whiteouts and opaque directories become `.wh.` entries. */
  | { readonly kind: 'overlay-upper'; readonly path: string }
  /** Several of them, topmost first, as the one change that they make together. */
  | { readonly kind: 'overlay-uppers'; readonly paths: readonly string[] }
  /**
   * What is other than in the tree `below`, whoever keeps the trees: `paths` are upper directories of an overlay, topmost
   * first, or one whole tree. Entries that were touched and are as before are left out.
   */
  | {
      readonly kind: 'changes'
      readonly paths: readonly string[]
      readonly isOverlay: boolean
      /** The tree is a clone of the one below: what nobody touched has its inode number and change time. */
      readonly isClone?: boolean
      readonly below: string
    }

/** How a layer is packed. `zstd-codec` is the zstd whose bytes are the same under every version of Node. */
export interface LayerCompression {
  readonly codec: Compression | 'zstd-codec'
  /** zstd: 1 to 19, by default 3; gzip: 1 to 9, by default 6. */
  readonly level?: number
}

/** What packing needs beside the tree. */
export interface PackOptions {
  /** Times later than this are set to it, in seconds since 1970. */
  readonly clampMtime?: number
  /** Every time is this one, in seconds since 1970; goes before `clampMtime`. */
  readonly setMtime?: number
  /** The directory of the archive that everything goes below; its own entry stands in the root's place. */
  readonly prefix?: string
  /** Leaves out the end of the archive: another one follows. */
  readonly withoutEnd?: boolean
  /** Leaves out the entry `./` that a whole tree begins with. */
  readonly withoutRoot?: boolean
  /** True leaves the entry, and all below it, out. Paths are relative without a leading slash: `etc/hosts`. */
  readonly exclude?: (path: string) => boolean
  /** Chunks are valid only until the next one is asked for, which spares the collector a gigabyte of garbage. */
  readonly reuseChunks?: boolean
  readonly signal?: AbortSignal | undefined
  /** Receives warnings of what a layer cannot hold and is left out: sockets. */
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
  /** Uncompressed bytes for each compressed one, once there are more than `ratioFreeBytes` of them. */
  readonly maxRatio: number
  /** zstd packs zeros, such as those of a sparse disk image, 20,000 to one: only what could fill a disk counts as a bomb. */
  readonly ratioFreeBytes: number
}

/** What any real root file system stays below. */
export const defaultArchiveLimits: ArchiveLimits = {
  maxEntries: 10_000_000,
  maxPathBytes: 4096,
  maxDepth: 512,
  maxHeaderBytes: 1024 * 1024,
  maxTotalBytes: 1024 ** 4,
  maxRatio: 1000,
  ratioFreeBytes: 3 * 1024 ** 3,
}

/** A tar as it passed through a compressor: both names and both sizes. */
export interface PackedLayer {
  readonly diffId: DiffId
  readonly digest: Digest
  readonly tarBytes: number
  readonly packedBytes: number
  readonly compression: Compression
}

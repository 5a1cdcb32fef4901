// Where things lie in a store. The first group is an OCI image layout (image-spec v1.1.1 image-layout.md), which other
// tools read and write as well; the second is kauri's own, ignored by them and derivable but for what is being written.

import path from 'node:path'
import { type Digest, hexOf } from '../oci/digest.ts'

export interface LayoutPaths {
  readonly root: string
  readonly marker: string
  readonly index: string
  readonly blobs: string
  /** Blobs being written: one directory for each batch, locked while its writer lives. */
  readonly ingest: string
  /** What is known of layers, by diff ID. */
  readonly diffIds: string
  /** Held exclusively by who changes index.json. */
  readonly indexLock: string
  /** Held shared for the moment in which a blob appears or is found, exclusively while garbage is swept. */
  readonly sweepLock: string
  /** Passed on the way to that lock; held exclusively by a sweep that waits for it. */
  readonly sweepGate: string
}

export function layoutPaths(root: string): LayoutPaths {
  return {
    root,
    marker: path.join(root, 'oci-layout'),
    index: path.join(root, 'index.json'),
    blobs: path.join(root, 'blobs', 'sha256'),
    ingest: path.join(root, 'ingest'),
    diffIds: path.join(root, 'diff-ids'),
    indexLock: path.join(root, 'index.lock'),
    sweepLock: path.join(root, 'sweep.lock'),
    sweepGate: path.join(root, 'sweep-gate.lock'),
  }
}

export function blobPathIn(paths: LayoutPaths, digest: Digest): string {
  return path.join(paths.blobs, hexOf(digest))
}

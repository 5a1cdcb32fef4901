// An image as an immutable value: its configuration and its layers, wherever the bytes are.

import type { Readable } from 'node:stream'
import type { Descriptor } from '../oci/descriptor.ts'
import type { DiffId } from '../oci/digest.ts'
import type { ImageConfig } from '../oci/image-config.ts'
import type { Manifest } from '../oci/manifest.ts'
import type { Platform } from '../oci/platform.ts'
import type { Reference } from '../oci/reference.ts'
import type { ImageStore } from '../store/store.ts'

/** One change set of a root file system. */
export interface Layer {
  readonly descriptor: Descriptor
  readonly diffId: DiffId
  /** The stored bytes, compressed as the media type says; verified at the end. The caller consumes or destroys them. */
  open(): Promise<Readable>
}

export interface Image {
  /** Of the manifest. */
  readonly descriptor: Descriptor
  readonly manifest: Manifest
  readonly config: ImageConfig
  readonly layers: readonly Layer[]
}

/** Finds images for those who must not know where images come from: the local store first, then a registry. */
export interface ImageSource {
  /** The image for the platform with its blobs in the local store, or undefined where nobody has that name. */
  findImage(
    reference: Reference,
    platform: Platform,
    options: { readonly signal?: AbortSignal },
  ): Promise<{ readonly image: Image; readonly store: ImageStore } | undefined>
}

// Writes an image's documents: configuration and manifest as canonical JSON, so that equal images have equal digests.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type DiffId, digestOf } from '../oci/digest.ts'
import type { ImageConfig } from '../oci/image-config.ts'
import type { Manifest } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/media-types.ts'
import type { ImageStore } from '../store/store.ts'
import type { Image } from './image.ts'
import { imageOf } from './open-image.ts'

/** A stored layer and the digest of its tar. */
export interface LayerOfImage {
  readonly descriptor: Descriptor
  readonly diffId: DiffId
}

export interface ImageParts {
  /** Its `rootfs` is made from the layers. */
  readonly config: Omit<ImageConfig, 'rootfs'>
  /** Bottom first; their blobs are stored already. */
  readonly layers: readonly LayerOfImage[]
  /** Of the manifest. */
  readonly annotations?: Readonly<Record<string, string>>
  /** What the configuration of the image that this one is made from has beside. */
  readonly foreign?: ForeignMembers
}

/** Members of a configuration that kauri does not know; they are kept as they are. */
export interface ForeignMembers {
  readonly config: Readonly<Record<string, unknown>>
  /** Of its member `config`. */
  readonly run: Readonly<Record<string, unknown>>
}

interface Document {
  readonly descriptor: Descriptor
  readonly bytes: Uint8Array
}

/** The two documents of an image, without writing them. */
export interface ImageDocuments {
  readonly config: Document & { readonly value: ImageConfig }
  readonly manifest: Document & { readonly value: Manifest }
}

/** Makes the documents; pure. @throws INTERNAL where the history tells of other layers than there are */
export function imageDocuments({
  config,
  layers,
  annotations,
  foreign,
}: ImageParts): ImageDocuments {
  const told = config.history?.filter(entry => entry.empty_layer !== true).length
  if (told !== undefined && told !== layers.length)
    throw new KauriError(
      'INTERNAL',
      `the history tells of ${told} layers, there are ${layers.length}`,
    )
  const imageConfig: ImageConfig = {
    ...config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
  }
  const configDocument = documentOf(mediaTypes.config, withForeign(imageConfig, foreign))
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: configDocument.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...(annotations === undefined ? {} : { annotations }),
  }
  return {
    config: { ...configDocument, value: imageConfig },
    manifest: { ...documentOf(mediaTypes.manifest, manifest), value: manifest },
  }
}

function withForeign(config: ImageConfig, foreign: ForeignMembers | undefined): object {
  if (foreign === undefined) return config
  return { ...foreign.config, ...config, config: { ...foreign.run, ...config.config } }
}

function documentOf(mediaType: string, value: object): Document {
  const bytes = Buffer.from(canonicalJson(value))
  return { bytes, descriptor: { mediaType, digest: digestOf(bytes), size: bytes.byteLength } }
}

/**
 * Writes configuration and manifest of an image; idempotent. The image has no name yet and is garbage until it gets one
 * with `tagImage`, or is kept without one.
 */
export async function createImage(store: ImageStore, parts: ImageParts): Promise<Image> {
  const { config, manifest } = imageDocuments(parts)
  for (const { descriptor, bytes } of [config, manifest])
    await store.putBlob(oneChunk(bytes), { expected: descriptor })
  return imageOf(store, {
    descriptor: manifest.descriptor,
    manifest: manifest.value,
    config: config.value,
  })
}

/** A source of bytes that are at hand. */
export async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

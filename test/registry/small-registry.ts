// Clients and images for tests of registries.

import { mediaTypes } from '../../src/oci/media-types.ts'
import { parseReference, type Reference } from '../../src/oci/reference.ts'
import { openRegistries } from '../../src/registry/open-registries.ts'
import type { Registries, RegistryLimits, RegistryOptions } from '../../src/registry/registry.ts'
import { giveBlob, giveManifest, type RegistryServer, sha256 } from '../helpers/registry-server.ts'

/** Waits that no test notices. */
export const quickLimits: RegistryLimits = {
  connectMs: 2000,
  answerMs: 400,
  commitMs: 2000,
  idleMs: 400,
  documentMs: 60_000,
  leastBytesPerSecond: 0,
  attempts: 4,
  firstWaitMs: 5,
  longestWaitMs: 1500,
  chunkBytes: 1000,
}

/** A client with the settings of nobody's home. */
export async function quickRegistries(options: Partial<RegistryOptions> = {}): Promise<Registries> {
  return await openRegistries({
    userId: 1000,
    limits: quickLimits,
    ...options,
    environment: {
      HOME: '/nonexistent',
      CONTAINERS_REGISTRIES_CONF: '/nonexistent/registries.conf',
      PATH: process.env['PATH'],
      ...options.environment,
    },
  })
}

export interface GivenImage {
  readonly digest: string
  readonly layer: Buffer
  readonly layerDigest: string
  readonly manifest: string
}

export interface ImageShape {
  readonly tag?: string
  readonly layer?: Uint8Array
  readonly architecture?: string
}

/** Bytes that look like a layer to nobody but a digest. */
export function someBytes(length: number, seed = 1): Buffer {
  return Buffer.from(
    Array.from({ length }, (_, index) => (index * 31 + seed * 17 + (index >> 8)) & 0xff),
  )
}

/** Puts an image of one layer into a repository of the server. */
export function giveImage(
  server: RegistryServer,
  repository: string,
  { tag = 'latest', layer = someBytes(5000), architecture = 'amd64' }: ImageShape = {},
): GivenImage {
  const layerDigest = giveBlob(server, repository, layer)
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: [layerDigest] },
    }),
  )
  giveBlob(server, repository, config)
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: { mediaType: mediaTypes.config, digest: sha256(config), size: config.length },
    layers: [{ mediaType: mediaTypes.layerTar, digest: layerDigest, size: layer.length }],
  })
  const digest = giveManifest(server, repository, {
    mediaType: mediaTypes.manifest,
    text: manifest,
    tags: [tag],
  })
  return { digest, layer: Buffer.from(layer), layerDigest, manifest }
}

/** Puts an index over images into a repository. */
export function giveIndex(
  server: RegistryServer,
  repository: string,
  images: readonly { readonly image: GivenImage; readonly architecture: string }[],
  tag = 'multi',
): string {
  return giveManifest(server, repository, {
    mediaType: mediaTypes.index,
    text: JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: images.map(({ image, architecture }) => ({
        mediaType: mediaTypes.manifest,
        digest: image.digest,
        size: Buffer.byteLength(image.manifest),
        platform: { os: 'linux', architecture },
      })),
    }),
    tags: [tag],
  })
}

export function named(server: Pick<RegistryServer, 'host'>, rest: string): Reference {
  return parseReference(`${server.host}/${rest}`)
}

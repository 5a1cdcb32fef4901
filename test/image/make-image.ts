// Real images for tests: small trees as tars, packed as asked.

import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createImage, type ImageParts } from '../../src/image/create-image.ts'
import type { Image } from '../../src/image/image.ts'
import { compress } from '../../src/layer/compression.ts'
import { asDiffId, digestOf } from '../../src/oci/digest.ts'
import { type Compression, layerMediaType } from '../../src/oci/media-types.ts'
import { parseReference } from '../../src/oci/reference.ts'
import type { ImageStore } from '../../src/store/store.ts'
import { tarOf } from '../helpers/tar.ts'
import { chunks } from '../store/small-image.ts'

/** A tar with one file that holds its own name. */
export function smallTar(name: string): Buffer {
  return tarOf({ name: './', type: '5' }, { name: `./${name}`, body: name })
}

export async function packed(tar: Buffer, codec: Compression): Promise<Buffer> {
  return await buffer(Readable.from(compress(chunks(tar), { codec })))
}

const created = '2024-01-02T03:04:05Z'

/** Writes an image with one layer for each name, and gives it a name where there is one. */
export async function makeImage(
  store: ImageStore,
  options: {
    readonly layers?: readonly string[]
    readonly codec?: Compression
    readonly name?: string
    readonly config?: Partial<ImageParts['config']>
  } = {},
): Promise<Image> {
  const { layers = ['hello'], codec = 'zstd', name, config } = options
  const stored: ImageParts['layers'][number][] = []
  for (const layer of layers) {
    const tar = smallTar(layer)
    const blob = await store.putBlob(chunks(await packed(tar, codec)))
    stored.push({
      descriptor: { mediaType: layerMediaType(codec), ...blob },
      diffId: asDiffId(digestOf(tar)),
    })
  }
  const image = await createImage(store, {
    layers: stored,
    config: {
      os: 'linux',
      architecture: 'amd64',
      created,
      config: {
        Cmd: ['/bin/sh'],
        Env: ['PATH=/bin'],
        Labels: { a: 'b' },
        ExposedPorts: { '80/tcp': {} },
      },
      history: layers.map(layer => ({ created, created_by: `add ${layer}` })),
      ...config,
    },
  })
  if (name !== undefined) await store.tagImage(parseReference(name), image.descriptor)
  return image
}

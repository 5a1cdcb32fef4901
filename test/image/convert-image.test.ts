import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { type Conversion, convertImage } from '../../src/image/convert-image.ts'
import { createImage } from '../../src/image/create-image.ts'
import { layerTarBytes } from '../../src/image/layer-tar.ts'
import { openImage } from '../../src/image/open-image.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import { packLayer } from '../../src/layer/pack-layer.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { layerMediaType, mediaTypes } from '../../src/oci/media-types.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { tarOf } from '../helpers/tar.ts'
import { putText } from '../store/small-image.ts'

const tar = tarOf({ name: './', type: '5' }, { name: './file', body: 'content'.repeat(1000) })

async function zstdImage(store: DiskStore): Promise<Descriptor> {
  const { digest, packedBytes, diffId } = await packLayer(Readable.from([tar]), {
    compression: { codec: 'zstd' },
    sink: packed => store.putBlob(packed),
  })
  const descriptor = { mediaType: layerMediaType('zstd'), digest, size: packedBytes }
  const config = { architecture: 'amd64', os: 'linux' }
  const annotations = { note: 'kept' }
  return (await createImage(store, { config, layers: [{ descriptor, diffId }], annotations }))
    .descriptor
}

const cases: readonly { conversion: Conversion; manifest: string; layer: string }[] = [
  {
    conversion: { compression: 'gzip' },
    manifest: mediaTypes.manifest,
    layer: mediaTypes.layerGzip,
  },
  {
    conversion: { compression: 'none' },
    manifest: mediaTypes.manifest,
    layer: mediaTypes.layerTar,
  },
  {
    conversion: { compression: 'zstd' },
    manifest: mediaTypes.manifest,
    layer: mediaTypes.layerZstd,
  },
  {
    conversion: { format: 'docker' },
    manifest: mediaTypes.dockerManifest,
    layer: mediaTypes.dockerLayerGzip,
  },
  {
    conversion: { format: 'docker', compression: 'none' },
    manifest: mediaTypes.dockerManifest,
    layer: mediaTypes.dockerLayerTar,
  },
]

for (const { conversion, manifest, layer } of cases)
  test(`an image as ${JSON.stringify(conversion)} has the same tars and configuration`, async t => {
    using scratch = makeScratch()
    const store = diskStore(scratch.path)
    const before = await openImage(store, await zstdImage(store))
    const converted = await convertImage(store, before.descriptor, conversion, {
      emit: ignoreEvents,
    })
    t.is(converted.mediaType, manifest)
    const after = await validateImage(store, converted)
    t.is(after.layers[0]?.descriptor.mediaType, layer)
    t.is(after.manifest.config.digest, before.manifest.config.digest)
    t.deepEqual(await buffer(layerTarBytes(after.layers[0] ?? t.fail())), tar)
    t.is(after.manifest.annotations?.['note'], conversion.format === 'docker' ? undefined : 'kept')
    if (conversion.compression === 'zstd') t.is(converted.digest, before.descriptor.digest)
  })

test('what was packed so before is not packed again, and equal images are equal', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.path)
  const image = await zstdImage(store)
  const titles: string[] = []
  const options = {
    emit: (event: { kind: string; title?: string }) => {
      if (event.kind === 'step-started') titles.push(event.title ?? '')
    },
  }
  const first = await convertImage(store, image, { compression: 'gzip' }, options)
  t.is(titles.length, 1)
  t.deepEqual(await convertImage(store, image, { compression: 'gzip' }, options), first)
  t.is(titles.length, 1)
})

test('an index is converted with its images; attestations of others are left out with a warning', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.path)
  const image = { ...(await zstdImage(store)), platform: { os: 'linux', architecture: 'amd64' } }
  const attestation = { ...image, platform: { os: 'unknown', architecture: 'unknown' } }
  const text = JSON.stringify({ schemaVersion: 2, manifests: [image, attestation] })
  const index = await putText(store, mediaTypes.index, text)
  const warnings: string[] = []
  const converted = await convertImage(
    store,
    index,
    { format: 'docker' },
    {
      emit: event => {
        if (event.kind === 'warning') warnings.push(event.message)
      },
    },
  )
  t.is(converted.mediaType, mediaTypes.dockerIndex)
  t.is((await openImage(store, converted)).descriptor.mediaType, mediaTypes.dockerManifest)
  t.is(warnings.length, 1)
})

test('docker’s format with zstd is refused, and nothing asked changes nothing', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.path)
  const image = await zstdImage(store)
  const options = { emit: ignoreEvents }
  await t.throwsAsync(
    convertImage(store, image, { format: 'docker', compression: 'zstd' }, options),
    {
      code: 'USAGE',
    },
  )
  t.is(await convertImage(store, image, {}, options), image)
})

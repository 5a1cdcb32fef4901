import test from 'ava'
import { openImage } from '../../src/image/open-image.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type Platform, parsePlatform } from '../../src/oci/platform.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import type { ImageStore } from '../../src/store/store.ts'
import { putText } from '../store/small-image.ts'
import { makeImage } from './make-image.ts'

async function putIndex(
  store: ImageStore,
  entries: readonly (readonly [Descriptor, Platform?])[],
): Promise<Descriptor> {
  const manifests = entries.map(([descriptor, platform]) => ({ ...descriptor, platform }))
  return await putText(store, mediaTypes.index, JSON.stringify({ schemaVersion: 2, manifests }))
}

test('an image that was created opens as what it was', async t => {
  const store = memoryStore()
  const image = await makeImage(store, { layers: ['a', 'b'] })
  const opened = await validateImage(store, image.descriptor)
  t.deepEqual(opened.config, image.config)
  t.deepEqual(opened.manifest, image.manifest)
  t.is(opened.layers.length, 2)
})

test('the platform is chosen from an index, attestations are passed over', async t => {
  const store = memoryStore()
  const amd = await makeImage(store, { layers: ['amd'] })
  const arm = await makeImage(store, {
    layers: ['arm'],
    config: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  })
  const index = await putIndex(store, [
    [amd.descriptor, { os: 'unknown', architecture: 'unknown' }],
    [amd.descriptor, { os: 'linux', architecture: 'amd64' }],
    [arm.descriptor, { os: 'linux', architecture: 'arm64' }],
  ])
  const opened = await openImage(store, index, parsePlatform('linux/arm64/v8'))
  t.is(opened.descriptor.digest, arm.descriptor.digest)
  await t.throwsAsync(openImage(store, index, parsePlatform('linux/s390x')), {
    code: 'IMAGE_NOT_FOUND',
    message: /has nothing for linux\/s390x/,
  })
})

test('indexes may be nested, but not without end', async t => {
  const store = memoryStore()
  const amd = await makeImage(store)
  const platform = { os: 'linux', architecture: 'amd64' }
  let index = await putIndex(store, [[amd.descriptor, platform]])
  index = await putIndex(store, [[index, platform]])
  t.is((await openImage(store, index, platform)).descriptor.digest, amd.descriptor.digest)
  for (let depth = 0; depth < 6; depth++) index = await putIndex(store, [[index, platform]])
  await t.throwsAsync(openImage(store, index, platform), { code: 'ARCHIVE_INVALID' })
})

test('a single image for another platform is refused where one is asked for', async t => {
  const store = memoryStore()
  const { descriptor } = await makeImage(store)
  await t.throwsAsync(openImage(store, descriptor, parsePlatform('linux/arm64')), {
    code: 'IMAGE_NOT_FOUND',
    message: /is for linux\/amd64, not for linux\/arm64\/v8/,
  })
})

test('an artifact is no container image', async t => {
  const store = memoryStore()
  const config = await putText(store, 'application/vnd.oci.empty.v1+json', '{}')
  const artifact = await putText(
    store,
    mediaTypes.manifest,
    JSON.stringify({ schemaVersion: 2, config, layers: [] }),
  )
  await t.throwsAsync(openImage(store, artifact), { code: 'UNSUPPORTED' })
})

test('a configuration that names other layers than the manifest is refused', async t => {
  const store = memoryStore()
  const image = await makeImage(store, { layers: ['a', 'b'] })
  const manifest = { ...image.manifest, layers: image.manifest.layers.slice(1) }
  const wrong = await putText(store, mediaTypes.manifest, JSON.stringify(manifest))
  await t.throwsAsync(openImage(store, wrong), { code: 'ARCHIVE_INVALID', message: /1 layers/ })
})

test('a layer that unpacks to something else is found by validation', async t => {
  const store = memoryStore()
  const good = await makeImage(store, { layers: ['a'] })
  const other = await makeImage(store, { layers: ['b'] })
  const manifest = { ...good.manifest, layers: other.manifest.layers }
  const wrong = await putText(store, mediaTypes.manifest, JSON.stringify(manifest))
  await t.throwsAsync(validateImage(store, wrong), { code: 'BLOB_CORRUPT' })
})

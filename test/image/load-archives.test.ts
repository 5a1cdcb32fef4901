// Archives of every age and program: which images they hold, and under which names.

import { spawnSync } from 'node:child_process'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import test from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { dockerArchive } from '../../src/image/docker-archive.ts'
import { addToIndex, newIndex, storeEditedIndex } from '../../src/image/edit-index.ts'
import type { Image } from '../../src/image/image.ts'
import { loadDirectory } from '../../src/image/load-directory.ts'
import { ociArchive, writeOciDirectory } from '../../src/image/oci-archive.ts'
import { openImage } from '../../src/image/open-image.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parsePlatform } from '../../src/oci/platform.ts'
import { parseReference } from '../../src/oci/reference.ts'
import type { DiskStore } from '../../src/store/disk-store.ts'
import { testWith } from '../helpers/needs.ts'
import { tarOf } from '../helpers/tar.ts'
import { ref } from '../store/small-image.ts'
import {
  bytesOf,
  defined,
  id,
  isEmpty,
  load,
  makeStores,
  namesOf,
  oldestArchive,
  oldLayers,
} from './archive-forms.ts'
import { makeImage, packed, smallTar } from './make-image.ts'

test('an archive of Docker before 1.10 loads: repositories, and a directory for each layer', async t => {
  using stores = makeStores()
  const repositories = {
    old: { '1': id('c'), latest: id('c') },
    'example.org/base': { '2': id('a') },
  }
  const loaded = await load(stores.to, oldestArchive(oldLayers, repositories))
  t.deepEqual(namesOf(loaded), ['example.org/base:2', 'old:1', 'old:latest'])
  const descriptor = defined(await stores.to.findImage(ref('old:1')))
  const { config, layers } = await validateImage(stores.to, descriptor)
  t.deepEqual(
    layers.map(({ diffId }) => diffId),
    [smallTar('a'), smallTar('b'), smallTar('a')].map(digestOf),
  )
  t.like(config, { author: 'me', architecture: 'amd64', os: 'linux', config: { Cmd: ['x'] } })
  t.deepEqual(
    config.history?.map(entry => entry.created_by),
    ['/bin/sh -c make a', '/bin/sh -c make b', '/bin/sh -c make c'],
  )
  t.is(config.history?.[2]?.comment, 'last')
})

test('an image that no repository names is kept without a name', async t => {
  using stores = makeStores()
  const loaded = await load(stores.to, oldestArchive(oldLayers))
  t.is(loaded.length, 1)
  t.deepEqual(namesOf(loaded), [])
  t.is((await stores.to.listEntries()).length, 1)
})

test('layers that are packed inside keep their digests in an old archive', async t => {
  using stores = makeStores()
  const gzipped = await packed(smallTar('a'), 'gzip')
  const archive = oldestArchive([{ id: id('a'), tar: gzipped }], { x: { y: id('a') } })
  const loaded = defined((await load(stores.to, archive))[0])
  const { layers } = await validateImage(stores.to, loaded.descriptor)
  t.is(layers[0]?.descriptor.digest, digestOf(gzipped))
})

/** An index of images for two platforms, with an attestation beside them. */
async function makeIndex(store: DiskStore): Promise<{ index: Descriptor; images: Image[] }> {
  const images = [
    await makeImage(store, { layers: ['amd'], codec: 'gzip' }),
    await makeImage(store, { layers: ['arm'], codec: 'gzip', config: { architecture: 'arm64' } }),
  ]
  let document = newIndex
  for (const { descriptor } of images) document = await addToIndex(store, document, descriptor)
  return { index: await storeEditedIndex(store, document), images }
}

/** What `docker save` writes where containerd keeps the images: both forms, blobs as they are, one platform in manifest.json. */
async function containerdArchive(
  store: DiskStore,
  descriptor: Descriptor,
  { image, layoutName, tags }: { image: Image; layoutName: string; tags: readonly string[] },
): Promise<Buffer> {
  const layout = await bytesOf(
    ociArchive(store, [{ descriptor, names: layoutName === '' ? [] : [ref(layoutName)] }]),
  )
  const blob = (digest: string): string => `blobs/sha256/${digest.slice(7)}`
  const item = {
    Config: blob(image.manifest.config.digest),
    RepoTags: tags,
    Layers: image.manifest.layers.map(({ digest }) => blob(digest)),
  }
  const end = 1024
  return Buffer.concat([
    layout.subarray(0, -end),
    tarOf({ name: 'manifest.json', body: JSON.stringify([item]) }),
  ])
}

test('an archive with both forms keeps an index whole, and manifest.json adds its names', async t => {
  using stores = makeStores()
  const { index, images } = await makeIndex(stores.from)
  const image = defined(images[0])
  const parts = { image, layoutName: 'app:1', tags: ['app:1', 'other:2'] }
  const loaded = await load(stores.to, await containerdArchive(stores.from, index, parts))
  t.deepEqual(namesOf(loaded), ['app:1', 'other:2'])
  t.is((await stores.to.findImage(ref('other:2')))?.digest, index.digest)
  for (const { descriptor } of images) await validateImage(stores.to, descriptor)
})

test('an archive with both forms keeps the digest of a manifest with packed layers', async t => {
  using stores = makeStores()
  const image = await makeImage(stores.from, { layers: ['a', 'b'], codec: 'gzip' })
  const parts = { image, layoutName: '', tags: ['app:1'] }
  const archive = await containerdArchive(stores.from, image.descriptor, parts)
  await load(stores.to, archive)
  t.is((await stores.to.findImage(ref('app:1')))?.digest, image.descriptor.digest)
})

test('an archive whose two forms name different images is refused: others would see the other one', async t => {
  using stores = makeStores()
  const good = await makeImage(stores.from, { layers: ['good'], codec: 'gzip' })
  const evil = await makeImage(stores.from, { layers: ['evil'], codec: 'gzip' })
  const layout = await containerdArchive(stores.from, good.descriptor, {
    image: evil,
    layoutName: 'app:1',
    tags: ['app:1'],
  })
  const more = await bytesOf(ociArchive(stores.from, [{ descriptor: evil.descriptor, names: [] }]))
  // The blobs of both, index.json of the first, manifest.json of the second.
  const archive = Buffer.concat([more.subarray(0, -1024), layout])
  await t.throwsAsync(load(stores.to, archive), { message: /name different images .*app:1/ })
  t.true(await isEmpty(stores.to))
})

const outside: readonly [string, (archive: Buffer) => Buffer][] = [
  ['gzip', gzipSync],
  ['zstd', bytes => zstdCompressSync(bytes)],
  [
    'zstd behind a skippable frame',
    bytes =>
      Buffer.concat([Buffer.from('502a4d1804000000aabbccdd', 'hex'), zstdCompressSync(bytes)]),
  ],
  ['bzip2', bytes => spawnSync('bzip2', { input: bytes, maxBuffer: 1e8 }).stdout],
  ['xz', bytes => spawnSync('xz', { input: bytes, maxBuffer: 1e8 }).stdout],
]
for (const [name, pack] of outside)
  testWith({ programs: ['xz', 'bzip2'].filter(program => program === name) })(
    `archives packed outside with ${name} load in each form`,
    async t => {
      using stores = makeStores()
      const image = await makeImage(stores.from, { layers: ['a'] })
      const roots = [{ descriptor: image.descriptor, names: [ref('oci:1')] }]
      const forms = [
        await bytesOf(dockerArchive(stores.from, [{ image, names: [ref('docker:1')] }])),
        await bytesOf(ociArchive(stores.from, roots)),
        oldestArchive(oldLayers, { old: { '1': id('c') } }),
      ]
      const names: string[] = []
      for (const form of forms) names.push(...namesOf(await load(stores.to, pack(form))))
      t.deepEqual(names, ['docker:1', 'oci:1', 'old:1'])
    },
  )

test('an OCI archive holds several images, and several names of one', async t => {
  using stores = makeStores()
  const one = await makeImage(stores.from, { layers: ['one'] })
  const two = await makeImage(stores.from, { layers: ['two'] })
  const roots = [
    { descriptor: one.descriptor, names: [ref('localhost:5000/one:1'), ref('one:2')] },
    { descriptor: two.descriptor, names: [ref('example.org/two:1')] },
    { descriptor: (await makeIndex(stores.from)).index, names: [], labels: ['a-tag-alone'] },
  ]
  const loaded = await load(stores.to, await bytesOf(ociArchive(stores.from, roots)))
  t.deepEqual(namesOf(loaded), ['example.org/two:1', 'localhost:5000/one:1', 'one:2'])
  t.is(loaded.length, 3)
  t.deepEqual(loaded[2]?.labels, ['a-tag-alone'])
})

test('a name with a digest stays where it is the image’s, and is no reason to load half an archive', async t => {
  using stores = makeStores()
  const { descriptor, manifest } = await makeImage(stores.from, { layers: ['a'], codec: 'gzip' })
  const other = manifest.config.digest
  const names = [`kept@${descriptor.digest}`, `dropped@${other}`, `cut:1@${other}`]
  const archive = await bytesOf(
    ociArchive(stores.from, [{ descriptor, names: names.map(name => parseReference(name)) }]),
  )
  t.deepEqual(namesOf(await load(stores.to, archive)), ['cut:1', `kept@${descriptor.digest}`])
  t.is((await stores.to.listImages()).length, 2)
})

for (const form of ['archive', 'directory'] as const)
  test(`of an index in an OCI ${form} only the image for a platform is taken, and the index stays whole`, async t => {
    using stores = makeStores()
    const { index, images } = await makeIndex(stores.from)
    const [amd, arm] = [defined(images[0]), defined(images[1])]
    const roots = [{ descriptor: index, names: [ref('app:1')] }]
    const arm64 = parsePlatform('linux/arm64')
    if (form === 'archive')
      await load(stores.to, await bytesOf(ociArchive(stores.from, roots)), arm64)
    else {
      const directory = stores.scratch.at('layout')
      await writeOciDirectory(stores.from, roots, { directory })
      const options = { name: 'layout', emit: ignoreEvents, platform: arm64 }
      await loadDirectory(stores.to, directory, options)
    }
    const named = await stores.to.findImage(ref('app:1'))
    t.is(named?.digest, index.digest)
    t.is((await openImage(stores.to, index, arm64)).descriptor.digest, arm.descriptor.digest)
    t.false(await stores.to.hasBlob(amd.descriptor.digest))
    t.false(await stores.to.hasBlob(defined(amd.manifest.layers[0]).digest))
  })

test('an archive with nothing for the platform says what it has', async t => {
  using stores = makeStores()
  const image = await makeImage(stores.from, { layers: ['a'] })
  const archives = [
    await bytesOf(dockerArchive(stores.from, [{ image, names: [ref('app:1')] }])),
    await bytesOf(
      ociArchive(stores.from, [{ descriptor: image.descriptor, names: [ref('app:1')] }]),
    ),
    oldestArchive(oldLayers, { app: { '1': id('c') } }),
  ]
  for (const archive of archives) {
    const error = await t.throwsAsync(load(stores.to, archive, parsePlatform('linux/s390x')), {
      message: 'the archive has nothing for linux/s390x',
    })
    t.like(error, { code: 'IMAGE_NOT_FOUND', hint: 'it has app:1' })
  }
  t.true(await isEmpty(stores.to))
})

// Archives out and in: what is saved loads again as the same image, and what others have written loads, too.

import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { ignoreEvents } from '../../src/core/events.ts'
import { tarHeader } from '../../src/image/archive-entry.ts'
import { dockerArchive } from '../../src/image/docker-archive.ts'
import { createDockerArchiveFile } from '../../src/image/docker-archive-file.ts'
import type { Image } from '../../src/image/image.ts'
import { type LoadedImage, loadArchive } from '../../src/image/load-archive.ts'
import { loadDirectory } from '../../src/image/load-directory.ts'
import { ociArchive, writeOciDirectory } from '../../src/image/oci-archive.ts'
import { validateImage } from '../../src/image/validate-image.ts'
import { decodeHeader } from '../../src/layer/tar-header.ts'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { formatFamiliar } from '../../src/oci/reference.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { inPieces, type RawEntry, tarOf } from '../helpers/tar.ts'
import { ref } from '../store/small-image.ts'
import { makeImage, packed, smallTar } from './make-image.ts'

const bytesOf = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> =>
  await buffer(Readable.from(source))

const emit = ignoreEvents
const load = (store: DiskStore, archive: Uint8Array): Promise<LoadedImage[]> =>
  loadArchive(store, inPieces(archive, 1000), { name: 'the archive', emit })

interface Stores {
  readonly scratch: Scratch
  readonly from: DiskStore
  readonly to: DiskStore
}

function makeStores(): Stores {
  const scratch = makeScratch()
  return { scratch, from: diskStore(scratch.at('from')), to: diskStore(scratch.at('to')) }
}

for (const codec of ['zstd', 'gzip', 'none'] as const)
  test(`a docker-archive of ${codec} layers loads as the same image in docker's sense`, async t => {
    const { scratch, from, to } = makeStores()
    using _ = scratch
    const image = await makeImage(from, { layers: ['a', 'b'], codec })
    const archive = await bytesOf(
      dockerArchive(from, [{ image, names: [ref('x:1'), ref('y/z:2')] }]),
    )
    const [loaded] = await load(to, archive)
    t.deepEqual(loaded?.names.map(formatFamiliar), ['x:1', 'y/z:2'])
    const opened = await validateImage(to, loaded?.descriptor ?? image.descriptor)
    t.is(opened.manifest.config.digest, image.manifest.config.digest)
    if (codec === 'zstd') t.is(loaded?.descriptor.digest, image.descriptor.digest)
    t.is((await to.listImages()).length, 2)
  })

test('an archive written while layers pass is the one that is written from the store', async t => {
  const { scratch, from } = makeStores()
  using _ = scratch
  const image = await makeImage(from, { layers: ['a', 'b', 'c'] })
  const images = [{ image, names: [ref('x:1')] }]
  await using file = createDockerArchiveFile(from, scratch.at('teed.tar'))
  for (const [index, name] of ['a', 'b'].entries()) {
    const slot = file.startLayer()
    for await (const piece of inPieces(smallTar(name), 700)) await slot.write(piece)
    const diffId = image.layers[index]?.diffId
    if (diffId !== undefined) await slot.finish({ diffId })
  }
  await file.finish(images)
  t.deepEqual(readFileSync(scratch.at('teed.tar')), await bytesOf(dockerArchive(from, images)))
})

test('an archive that is given up leaves no file', async t => {
  const { scratch, from } = makeStores()
  using _ = scratch
  {
    await using file = createDockerArchiveFile(from, scratch.at('teed.tar'))
    await file.startLayer().write(Buffer.from('half'))
  }
  t.throws(() => readFileSync(scratch.at('teed.tar')), { code: 'ENOENT' })
})

test('an archive is the same bytes twice', async t => {
  const { scratch, from } = makeStores()
  using _ = scratch
  const image = await makeImage(from)
  const images = [{ image, names: [ref('x:1')] }]
  t.deepEqual(
    await bytesOf(dockerArchive(from, images)),
    await bytesOf(dockerArchive(from, images)),
  )
})

test('a layer that two images share is in an archive once', async t => {
  const { scratch, from, to } = makeStores()
  using _ = scratch
  const one = await makeImage(from, { layers: ['base', 'one'] })
  const two = await makeImage(from, { layers: ['base', 'two'] })
  const archive = await bytesOf(
    dockerArchive(from, [
      { image: one, names: [ref('one:1')] },
      { image: two, names: [] },
    ]),
  )
  const base = hexOf(one.layers[0]?.diffId ?? digestOf(''))
  t.is(archive.toString('latin1').split(`blobs/sha256/${base}\0`).length, 2)
  t.is((await load(to, archive)).length, 2)
  t.is((await to.listEntries()).filter(({ reference }) => reference === undefined).length, 1)
})

test('sizes beyond 8 GiB are in the header', async t => {
  const size = 9 * 1024 ** 3
  t.is(decodeHeader(Buffer.from(await tarHeader('layer', size))).size, size)
})

for (const form of ['archive', 'directory'] as const)
  test(`an OCI ${form} keeps every digest and all platforms`, async t => {
    const { scratch, from, to } = makeStores()
    using _ = scratch
    const image = await makeImage(from, { codec: 'gzip' })
    const roots = [{ descriptor: image.descriptor, names: [ref('x:1')] }]
    if (form === 'archive') await load(to, await bytesOf(ociArchive(from, roots)))
    else {
      await writeOciDirectory(from, roots, { directory: scratch.at('layout') })
      await loadDirectory(to, scratch.at('layout'), { name: 'layout', emit })
    }
    t.is((await to.findImage(ref('x:1')))?.digest, image.descriptor.digest)
    await validateImage(to, image.descriptor)
  })

test('a layout directory whose blob is a link is not followed', async t => {
  const { scratch, from, to } = makeStores()
  using _ = scratch
  const image = await makeImage(from)
  await writeOciDirectory(from, [{ descriptor: image.descriptor, names: [] }], {
    directory: scratch.at('layout'),
  })
  const blob = scratch.at('layout', 'blobs', 'sha256', hexOf(image.descriptor.digest))
  writeFileSync(scratch.at('elsewhere'), readFileSync(blob))
  const { rmSync } = await import('node:fs')
  rmSync(blob)
  symlinkSync(scratch.at('elsewhere'), blob)
  await t.throwsAsync(loadDirectory(to, scratch.at('layout'), { name: 'layout', emit }), {
    code: 'BLOB_NOT_FOUND',
  })
  t.deepEqual(await to.listEntries(), [])
})

/** The layout of Docker before 25, with a layer that is a link to another. */
function oldArchive(config: Buffer, layers: readonly RawEntry[], names: readonly string[]): Buffer {
  const configName = `${hexOf(digestOf(config))}.json`
  return tarOf(
    ...layers,
    { name: configName, body: config },
    {
      name: 'manifest.json',
      body: JSON.stringify([{ Config: configName, RepoTags: ['old:1'], Layers: names }]),
    },
    { name: 'repositories', body: '{}' },
  )
}

async function oldConfig(
  stores: Stores,
  layers: readonly string[],
): Promise<{ image: Image; config: Buffer }> {
  const image = await makeImage(stores.from, { layers })
  const config = await buffer(await stores.from.openBlob(image.manifest.config))
  return { image, config }
}

test('an archive of Docker before 25 loads, links and compressed layers too', async t => {
  const stores = makeStores()
  using _ = stores.scratch
  const { image, config } = await oldConfig(stores, ['a', 'b', 'a'])
  const archive = oldArchive(
    config,
    [
      { name: 'one/layer.tar', body: smallTar('a') },
      { name: 'two/layer.tar', body: await packed(smallTar('b'), 'gzip') },
      { name: 'three/layer.tar', type: '2', link: '../one/layer.tar' },
    ],
    ['one/layer.tar', 'two/layer.tar', 'three/layer.tar'],
  )
  const [loaded] = await load(stores.to, await packed(archive, 'gzip'))
  const opened = await validateImage(stores.to, loaded?.descriptor ?? image.descriptor)
  t.is(opened.manifest.config.digest, image.manifest.config.digest)
  t.deepEqual(
    opened.manifest.layers.map(({ mediaType }) => mediaType.split('+')[1]),
    ['zstd', 'gzip', 'zstd'],
  )
})

const hostile: readonly [string, (stores: Stores) => Promise<Buffer>, RegExp][] = [
  ['no archive at all', async () => Buffer.from('hello'), /the archive/],
  ['an empty tar', async () => tarOf(), /neither manifest\.json nor index\.json/],
  [
    'the tar of a root',
    async () => tarOf({ name: 'dev/null', type: '3' }),
    /dev\/null is a character-device/,
  ],
  [
    'a manifest that is no JSON',
    async () => tarOf({ name: 'manifest.json', body: '{' }),
    /not valid JSON/,
  ],
  [
    'a manifest of the wrong shape',
    async () => tarOf({ name: 'manifest.json', body: '{}' }),
    /expected a list/,
  ],
  [
    'a configuration that is not there',
    async () =>
      tarOf({ name: 'manifest.json', body: '[{"Config":"../../etc/passwd","Layers":[]}]' }),
    /names \.\.\/\.\.\/etc\/passwd, which is not there/,
  ],
  [
    'links in a circle',
    async () =>
      tarOf(
        { name: 'a', type: '2', link: 'b' },
        { name: 'b', type: '2', link: 'a' },
        { name: 'manifest.json', body: '[{"Config":"a","Layers":[]}]' },
      ),
    /names a, which is not there/,
  ],
  [
    'a layer that is not what the configuration says',
    async stores => {
      const { config } = await oldConfig(stores, ['a'])
      return oldArchive(config, [{ name: 'l.tar', body: smallTar('other') }], ['l.tar'])
    },
    /the configuration says/,
  ],
  [
    'fewer layers than the configuration',
    async stores => oldArchive((await oldConfig(stores, ['a'])).config, [], []),
    /names 1 layers, manifest\.json 0/,
  ],
  [
    'a name outside the grammar',
    async stores => {
      const { config } = await oldConfig(stores, [])
      return tarOf(
        { name: 'c', body: config },
        { name: 'manifest.json', body: '[{"Config":"c","RepoTags":["../../x"],"Layers":[]}]' },
      )
    },
    /is not an image name/,
  ],
  [
    'an index whose image is missing',
    async () =>
      tarOf({
        name: 'index.json',
        body: JSON.stringify({
          schemaVersion: 2,
          manifests: [
            {
              mediaType: 'application/vnd.oci.image.manifest.v1+json',
              digest: digestOf('x'),
              size: 1,
            },
          ],
        }),
      }),
    /the archive lacks the blob sha256:/,
  ],
  [
    'a truncated archive',
    async stores => {
      const image = await makeImage(stores.from)
      const whole = await bytesOf(dockerArchive(stores.from, [{ image, names: [] }]))
      return whole.subarray(0, 3000)
    },
    /cut short/,
  ],
]
for (const [name, make, message] of hostile)
  test(`load refuses ${name} and leaves nothing`, async t => {
    const stores = makeStores()
    using _ = stores.scratch
    await t.throwsAsync(load(stores.to, await make(stores)), { message })
    t.deepEqual(await stores.to.listEntries(), [])
    const { readdirSync, existsSync } = await import('node:fs')
    const blobs = `${stores.to.root}/blobs/sha256`
    t.deepEqual(existsSync(blobs) ? readdirSync(blobs) : [], [])
    t.deepEqual(readdirSync(`${stores.to.root}/ingest`), [])
  })

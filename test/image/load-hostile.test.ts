// Archives that lie: each is refused with what is wrong, and nothing of it can be seen afterwards.

import { mkdirSync, writeFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import test from 'ava'
import { canonicalJson } from '../../src/core/canonical-json.ts'
import { ignoreEvents } from '../../src/core/events.ts'
import { loadArchive } from '../../src/image/load-archive.ts'
import { loadDirectory } from '../../src/image/load-directory.ts'
import { defaultArchiveLimits } from '../../src/layer/layer.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { inPieces, tarOf } from '../helpers/tar.ts'
import { defined, id, isEmpty, load, makeStores, oldestArchive } from './archive-forms.ts'
import { makeImage, smallTar } from './make-image.ts'

const brokenOld: readonly [string, Buffer, RegExp][] = [
  [
    'layers that stand on each other in a circle',
    oldestArchive(
      [
        { id: id('a'), parent: id('b'), tar: smallTar('a') },
        { id: id('b'), parent: id('a'), tar: smallTar('b') },
      ],
      { x: { y: id('b') } },
    ),
    /stand on each other/,
  ],
  [
    'a parent that is no id',
    oldestArchive([{ id: id('a'), parent: '../../etc', tar: smallTar('a') }]),
    /"\.\.\/\.\.\/etc" is no id of a layer/,
  ],
  [
    'a parent that is not there',
    oldestArchive([{ id: id('a'), parent: id('b'), tar: smallTar('a') }]),
    /b\/json, which is not there/,
  ],
  [
    'a repository of a layer that is not there',
    oldestArchive([{ id: id('a'), tar: smallTar('a') }], { x: { y: id('f') } }),
    /repositories names f+, which is not there/,
  ],
  [
    'a name outside the grammar',
    oldestArchive([{ id: id('a'), tar: smallTar('a') }], { '../x': { y: id('a') } }),
    /is not an image name/,
  ],
  [
    'a layer that is no tar',
    oldestArchive([{ id: id('a'), tar: Buffer.from('no tar') }], { x: { y: id('a') } }),
    /layer\.tar/,
  ],
  [
    'a layer that is a link out of the archive',
    oldestArchive([{ id: id('a'), tar: '/etc/passwd' }], { x: { y: id('a') } }),
    /layer\.tar, which is not there/,
  ],
]
for (const [name, archive, message] of brokenOld)
  test(`an old archive with ${name} is refused whole`, async t => {
    using stores = makeStores()
    await t.throwsAsync(load(stores.to, archive), { message })
    t.true(await isEmpty(stores.to))
  })

/** An OCI archive of hand-made documents. */
function layoutArchive(entries: readonly object[], blobs: readonly (string | Buffer)[]): Buffer {
  return tarOf(
    { name: 'oci-layout', body: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', body: JSON.stringify({ schemaVersion: 2, manifests: entries }) },
    ...blobs.map(body => ({ name: `blobs/sha256/${hexOf(digestOf(body))}`, body })),
  )
}

const describe = (mediaType: string, body: string | Buffer): Descriptor => ({
  mediaType,
  digest: digestOf(body),
  size: Buffer.byteLength(body),
})

const someConfig = (diffIds: readonly string[]): string =>
  canonicalJson({
    os: 'linux',
    architecture: 'amd64',
    rootfs: { type: 'layers', diff_ids: diffIds },
  })

function someManifest(more: object = {}, config: string = someConfig([])): string {
  const { config: mediaType } = mediaTypes
  return canonicalJson({
    schemaVersion: 2,
    config: describe(mediaType, config),
    layers: [],
    ...more,
  })
}

/** Indexes in indexes; the innermost names a manifest. */
function deepIndexes(depth: number): { outermost: string; blobs: string[] } {
  const blobs = [someConfig([]), someManifest()]
  let inner = describe(mediaTypes.manifest, someManifest())
  let outermost = ''
  for (let level = 0; level < depth; level++) {
    outermost = canonicalJson({ schemaVersion: 2, manifests: [inner] })
    blobs.push(outermost)
    inner = describe(mediaTypes.index, outermost)
  }
  return { outermost, blobs }
}

const tar = smallTar('layer')
const lies: readonly [string, () => Buffer, RegExp][] = [
  [
    'a manifest that lies about the size of a layer',
    () => {
      const config = someConfig([digestOf(tar)])
      const layer = { ...describe(mediaTypes.layerTar, tar), size: 5 }
      const manifest = someManifest({ layers: [layer] }, config)
      return layoutArchive([describe(mediaTypes.manifest, manifest)], [config, manifest, tar])
    },
    /has \d+ bytes, not 5/,
  ],
  [
    'an index that lies about the size of a manifest',
    () => {
      const manifest = someManifest()
      const entry = { ...describe(mediaTypes.manifest, manifest), size: 7 }
      return layoutArchive([entry], [someConfig([]), manifest])
    },
    /bytes, not 7/,
  ],
  [
    'a blob under the digest of another',
    () => {
      const manifest = someManifest()
      return tarOf(
        {
          name: 'index.json',
          body: JSON.stringify({
            schemaVersion: 2,
            manifests: [describe(mediaTypes.manifest, manifest)],
          }),
        },
        { name: `blobs/sha256/${hexOf(digestOf(manifest))}`, body: someManifest({ evil: true }) },
      )
    },
    /the archive lacks the blob/,
  ],
  [
    'a configuration of which the manifest says that it has 4 GB',
    () => {
      const config = { ...describe(mediaTypes.config, someConfig([])), size: 4 * 1024 ** 3 }
      const manifest = canonicalJson({ schemaVersion: 2, config, layers: [] })
      return layoutArchive([describe(mediaTypes.manifest, manifest)], [someConfig([]), manifest])
    },
    /bytes, not 4294967296/,
  ],
  [
    'a configuration that is larger than any, in a docker-archive',
    () =>
      tarOf(
        { name: 'c.json', body: Buffer.alloc(5 * 1024 * 1024, ' ') },
        { name: 'manifest.json', body: '[{"Config":"c.json","Layers":[]}]' },
      ),
    /has 5242880 bytes; at most 4194304 are read/,
  ],
  [
    'indexes in indexes in indexes',
    () => {
      const { outermost, blobs } = deepIndexes(500)
      return layoutArchive([describe(mediaTypes.index, outermost)], blobs)
    },
    /indexes in indexes deeper than/,
  ],
  [
    'an index that is a manifest, too (CVE-2021-41190)',
    () => {
      const index = canonicalJson({ schemaVersion: 2, manifests: [], layers: [] })
      return layoutArchive([describe(mediaTypes.index, index)], [index])
    },
    /could be read as two different things/,
  ],
  [
    'a manifest with two configurations under one key',
    () => {
      const config = JSON.stringify(describe(mediaTypes.config, someConfig([])))
      const manifest = `{"schemaVersion":2,"config":${config},"layers":[],"config":${config}}`
      return layoutArchive([describe(mediaTypes.manifest, manifest)], [someConfig([]), manifest])
    },
    /has the member "config" twice/,
  ],
  [
    'a manifest with Layers beside layers',
    () => {
      const manifest = someManifest({ Layers: [] })
      return layoutArchive([describe(mediaTypes.manifest, manifest)], [someConfig([]), manifest])
    },
    /but for the case of its letters/,
  ],
  [
    'only things that are no images',
    () => layoutArchive([describe('application/octet-stream', 'x')], ['x']),
    /it names no image/,
  ],
  [
    'a name with two dots',
    () => tarOf({ name: '../../etc/passwd', body: 'x' }),
    /leads out of the root/,
  ],
  [
    'a layer by an absolute name',
    () => {
      const config = someConfig([digestOf(tar)])
      return tarOf(
        { name: 'c', body: config },
        { name: 'manifest.json', body: '[{"Config":"c","Layers":["/etc/passwd"]}]' },
      )
    },
    /names \/etc\/passwd, which is not there/,
  ],
  [
    'a layer that is a link to a file of the machine',
    () => {
      const config = someConfig([digestOf(tar)])
      return tarOf(
        { name: 'c', body: config },
        { name: 'l.tar', type: '2', link: '/etc/passwd' },
        { name: 'manifest.json', body: '[{"Config":"c","Layers":["l.tar"]}]' },
      )
    },
    /names l\.tar, which is not there/,
  ],
  [
    'a hard link to a file of the machine',
    () => {
      const config = someConfig([digestOf(tar)])
      return tarOf(
        { name: 'c', body: config },
        { name: 'l.tar', type: '1', link: '/etc/passwd' },
        { name: 'manifest.json', body: '[{"Config":"c","Layers":["l.tar"]}]' },
      )
    },
    /names l\.tar, which is not there/,
  ],
  [
    'a layer whose entry leads out of the root (CVE-2018-15664, CVE-2021-29136 class)',
    () => {
      const evil = tarOf({ name: '../../etc/passwd', body: 'x' })
      return tarOf(
        { name: 'c', body: someConfig([digestOf(evil)]) },
        { name: 'l.tar', body: evil },
        { name: 'manifest.json', body: '[{"Config":"c","Layers":["l.tar"]}]' },
      )
    },
    /l\.tar: a name leads out of the root/,
  ],
  [
    'a packed layer that is no tar inside',
    () => {
      const text = Buffer.alloc(600, 'x')
      return tarOf(
        { name: 'c', body: someConfig([digestOf(text)]) },
        { name: 'l.tar', body: gzipSync(text) },
        { name: 'manifest.json', body: '[{"Config":"c","Layers":["l.tar"]}]' },
      )
    },
    /l\.tar/,
  ],
]
for (const [name, make, message] of lies)
  test(`load refuses ${name}, and nothing of it can be seen`, async t => {
    using stores = makeStores()
    await t.throwsAsync(load(stores.to, make()), { message })
    t.true(await isEmpty(stores.to))
  })

const smallLimits = { ...defaultArchiveLimits, maxRatio: 100, ratioFreeBytes: 1024 * 1024 }
const zeros = Buffer.alloc(20 * 1024 * 1024)
const bombLayer = tarOf({ name: 'zeros', body: zeros })
const bombs: readonly [string, Buffer, RegExp][] = [
  [
    'an archive of zeros, packed with zstd',
    zstdCompressSync(tarOf({ name: 'zeros', body: zeros })),
    /^the archive unpacks to more than 100 times its size/,
  ],
  [
    'a layer of zeros in a docker-archive, packed with gzip',
    tarOf(
      { name: 'c', body: someConfig([digestOf(bombLayer)]) },
      { name: 'l.tar', body: gzipSync(bombLayer) },
      { name: 'manifest.json', body: '[{"Config":"c","Layers":["l.tar"]}]' },
    ),
    /^l\.tar unpacks to more than 100 times its size/,
  ],
  [
    'a layer in an archive of Docker before 1.10',
    oldestArchive([{ id: id('a'), tar: zstdCompressSync(bombLayer) }]),
    /layer\.tar unpacks to more than 100 times its size/,
  ],
]
for (const [name, archive, message] of bombs)
  test(`a decompression bomb is refused before it fills the disk: ${name}`, async t => {
    using stores = makeStores()
    const options = { name: 'the archive', emit: ignoreEvents, limits: smallLimits }
    await t.throwsAsync(loadArchive(stores.to, inPieces(archive, 1000), options), { message })
    t.true(await isEmpty(stores.to))
  })

test('a layer of a wrong size is refused in a directory, too, even where the store has the blob', async t => {
  using stores = makeStores()
  const image = await makeImage(stores.to, { layers: ['a'], codec: 'gzip' })
  const layer = defined(image.manifest.layers[0])
  const lying = canonicalJson({ ...image.manifest, layers: [{ ...layer, size: 3 }] })
  const directory = stores.scratch.at('layout')
  mkdirSync(`${directory}/blobs/sha256`, { recursive: true })
  const config = await buffer(await stores.to.openBlob(image.manifest.config))
  for (const body of [lying, config])
    writeFileSync(`${directory}/blobs/sha256/${hexOf(digestOf(body))}`, body)
  const entry = describe(mediaTypes.manifest, lying)
  writeFileSync(`${directory}/index.json`, JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
  await t.throwsAsync(loadDirectory(stores.to, directory, { name: 'layout', emit: ignoreEvents }), {
    message: /bytes, not 3/,
  })
  t.deepEqual(await stores.to.listEntries(), [])
})

import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { digestOf, parseDigest } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { chunks, putImage, putNamed, putText, ref } from './small-image.ts'

const hourMs = 3_600_000

/** Makes every blob look two hours old. */
function age(store: DiskStore): void {
  const before = Date.now() / 1000 - 7200
  for (const hex of readdirSync(`${store.root}/blobs/sha256`))
    utimesSync(store.blobPath(parseDigest(`sha256:${hex}`)), before, before)
}

test('what nobody names goes, what a name reaches stays', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const kept = await putNamed(store, 'kept:1')
  await putNamed(store, 'gone:1')
  await store.untagImage(ref('gone:1'))
  age(store)
  const collected = await store.collectGarbage({ graceMs: hourMs })
  t.is(collected.blobs, 3)
  t.true(collected.bytes > 0)
  t.is(readdirSync(`${store.root}/blobs/sha256`).length, 3)
  t.true(await store.hasBlob(kept.digest))
  t.deepEqual(await store.collectGarbage({ graceMs: hourMs }), { blobs: 0, bytes: 0 })
})

test('images reached through an index, without a name, or by a given root stay', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const child = await putImage(store, 'child')
  const index = await putText(
    store,
    mediaTypes.index,
    JSON.stringify({ schemaVersion: 2, manifests: [child] }),
  )
  await store.tagImage(ref('multi:1'), index)
  await store.keepImage(await putImage(store, 'unnamed'))
  const root = await putImage(store, 'root')
  age(store)
  t.is((await store.collectGarbage({ graceMs: hourMs, roots: [root] })).blobs, 0)
})

test('young blobs stay, whatever they are', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await store.putBlob(chunks('young'))
  t.is((await store.collectGarbage({ graceMs: hourMs })).blobs, 0)
})

test('an old blob that somebody just asked for stays', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { digest } = await store.putBlob(chunks('asked for'))
  age(store)
  await store.hasBlob(digest)
  t.is((await store.collectGarbage({ graceMs: hourMs })).blobs, 0)
})

test('blobs stored or asked for since a batch was opened stay however long it takes', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { digest: old } = await store.putBlob(chunks('older than the batch'))
  age(store)
  using batch = store.openBatch()
  const { digest } = await store.putBlob(chunks('made meanwhile'))
  t.is((await store.collectGarbage({ graceMs: -hourMs })).blobs, 1)
  t.false(await store.hasBlob(old))
  t.true(await store.hasBlob(digest))
  batch[Symbol.dispose]()
  t.is((await store.collectGarbage({ graceMs: -hourMs })).blobs, 1)
})

test('a dry run counts and removes nothing', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await store.putBlob(chunks('garbage'))
  age(store)
  t.deepEqual(await store.collectGarbage({ graceMs: hourMs, dryRun: true }), { blobs: 1, bytes: 7 })
  t.is(readdirSync(`${store.root}/blobs/sha256`).length, 1)
})

test('a damaged manifest does not stop the collection', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const broken = await putText(store, mediaTypes.manifest, 'no manifest')
  await t.throwsAsync(store.keepImage(broken), { code: 'ARCHIVE_INVALID' })
  await store.putBlob(chunks('garbage'))
  age(store)
  t.is((await store.collectGarbage({ graceMs: hourMs, roots: [broken] })).blobs, 1)
})

test('records of packings go with their blobs', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const diffId = digestOf('tar') as never
  const stored = await store.putBlob(chunks('packed'))
  await store.rememberLayer({ diffId, mediaType: mediaTypes.layerZstd, ...stored, tarBytes: 3 })
  age(store)
  await store.collectGarbage({ graceMs: hourMs })
  t.deepEqual(readdirSync(`${store.root}/diff-ids`), [])
})

test('an empty store has no garbage', async t => {
  using scratch = makeScratch()
  t.deepEqual(await diskStore(scratch.at('oci')).collectGarbage({ graceMs: 0 }), {
    blobs: 0,
    bytes: 0,
  })
})

test('layers of a damaged manifest stay: they may be whole', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { digest } = await putNamed(store, 'damaged:1')
  const file = store.blobPath(digest)
  chmodSync(file, 0o644)
  writeFileSync(file, readFileSync(file, 'utf8').replace('"schemaVersion":2', '"schemaVersion":3'))
  age(store)
  t.deepEqual(await store.collectGarbage({ graceMs: hourMs }), { blobs: 0, bytes: 0 })
})

test('what documents of unknown kinds mention stays, and what those mention', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const leaf = await putText(store, 'application/octet-stream', 'leaf')
  const inner = await putText(store, 'application/vnd.example.inner+json', JSON.stringify({ leaf }))
  const outer = { inner, note: 'made by somebody else' }
  const foreign = await putText(store, 'application/vnd.example.outer+json', JSON.stringify(outer))
  const index = { schemaVersion: 2, manifests: [await putImage(store, 'child'), foreign] }
  await store.tagImage(
    ref('multi:1'),
    await putText(store, mediaTypes.index, JSON.stringify(index)),
  )
  await putText(store, 'text/plain', 'garbage')
  age(store)
  t.is((await store.collectGarbage({ graceMs: hourMs })).blobs, 1)
  t.true(await store.hasBlob(leaf.digest))
})

test('an entry with a digest of another kind keeps what it mentions', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await putNamed(store, 'app:1')
  const { digest } = await store.putBlob(chunks('layer of a foreign image'))
  const manifest = JSON.stringify({ layers: [{ digest }] })
  const hex = createHash('sha512').update(manifest).digest('hex')
  mkdirSync(scratch.at('oci', 'blobs', 'sha512'))
  writeFileSync(scratch.at('oci', 'blobs', 'sha512', hex), manifest)
  const file = scratch.at('oci', 'index.json')
  const index = JSON.parse(readFileSync(file, 'utf8'))
  index.manifests.push({ mediaType: mediaTypes.manifest, digest: `sha512:${hex}`, size: 3 })
  writeFileSync(file, JSON.stringify(index))
  age(store)
  t.is((await store.collectGarbage({ graceMs: hourMs })).blobs, 0)
  t.true(await store.hasBlob(digest))
})

test('what another program names while garbage is swept stays', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await putNamed(store, 'kept:1')
  const late = await putImage(store, 'late')
  await putText(store, 'text/plain', 'garbage')
  age(store)
  const file = scratch.at('oci', 'index.json')
  const nameLate = (): void => {
    const index = JSON.parse(readFileSync(file, 'utf8'))
    if (index.manifests.length === 2) return
    writeFileSync(file, JSON.stringify({ ...index, manifests: [...index.manifests, late] }))
  }
  let told = 0
  const collected = await store.collectGarbage({
    graceMs: hourMs,
    onBlob: () => told++,
    // Asked after everything that is needed was marked.
    isWanted(digest) {
      nameLate()
      return digest !== undefined
    },
  })
  t.is(collected.blobs, 1)
  t.is(told, 1)
  t.true(await store.hasBlob(late.digest))
})

test('of images that were just removed only their own blobs go', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const gone = await putNamed(store, 'gone:1', 'shared content')
  await putNamed(store, 'kept:1', 'kept content')
  const layer = await store.putBlob(chunks('shared content'))
  const sharing = JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: await putText(store, mediaTypes.config, '{}'),
    layers: [{ mediaType: mediaTypes.layerTar, ...layer }],
  })
  await store.tagImage(ref('sharing:1'), await putText(store, mediaTypes.manifest, sharing))
  const going = new Set([gone.digest])
  const asked = { graceMs: 0, within: [gone], ignoring: going, dryRun: true }
  t.is((await store.collectGarbage(asked)).blobs, 2)
  const names = (await store.listEntries()).filter(({ descriptor }) => going.has(descriptor.digest))
  t.true(await store.dropListed(names))
  t.is((await store.collectGarbage({ graceMs: 0, within: [gone] })).blobs, 2)
  t.true(await store.hasBlob(layer.digest))
  t.false(await store.hasBlob(gone.digest))
})

test('an image that got another name meanwhile is not dropped with its listed ones', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putNamed(store, 'a:1')
  const listed = await store.listEntries()
  await store.tagImage(ref('b:1'), descriptor)
  t.true(await store.dropListed(listed))
  t.is((await store.findImage(ref('b:1')))?.digest, descriptor.digest)
  t.is(await store.findImage(ref('a:1')), undefined)
})

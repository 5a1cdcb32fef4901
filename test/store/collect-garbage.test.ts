import { readdirSync, utimesSync } from 'node:fs'
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

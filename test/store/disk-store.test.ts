import { chmodSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { imageStoreContract } from './image-store-contract.ts'
import { chunks, putImage, putNamed, ref } from './small-image.ts'

imageStoreContract('disk', () => {
  const scratch = makeScratch()
  return {
    store: diskStore(scratch.at('oci')),
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
})

const readIndex = (
  root: string,
): { manifests: Record<string, unknown>[] } & Record<string, unknown> =>
  JSON.parse(readFileSync(`${root}/index.json`, 'utf8'))

test('a store that was never written is empty and makes no directory', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  t.deepEqual(await store.listImages(), [])
  t.is(await store.findImage(ref('debian')), undefined)
  t.false(await store.hasBlob(digestOf('x')))
  t.deepEqual(readdirSync(scratch.path), [])
})

test('only the owner may enter the store, and nobody may change a blob', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { digest } = await store.putBlob(chunks('secret'))
  t.is(statSync(store.root).mode & 0o777, 0o700)
  t.is(statSync(store.blobPath(digest)).mode & 0o777, 0o444)
})

test('the directory is an image layout with full names', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putNamed(store, 'debian:12')
  t.deepEqual(JSON.parse(readFileSync(scratch.at('oci', 'oci-layout'), 'utf8')), {
    imageLayoutVersion: '1.0.0',
  })
  t.deepEqual(readIndex(store.root), {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor,
        annotations: { 'org.opencontainers.image.ref.name': 'docker.io/library/debian:12' },
      },
    ],
  })
})

test('a blob that was changed on disk is refused at its end', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const stored = await store.putBlob(chunks('right'))
  chmodSync(store.blobPath(stored.digest), 0o644)
  writeFileSync(store.blobPath(stored.digest), 'wrong')
  const opened = await store.openBlob({ mediaType: 'text/plain', ...stored })
  await t.throwsAsync(buffer(opened), { code: 'BLOB_CORRUPT' })
})

test('a blob that was cut is replaced by the next put', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const stored = await store.putBlob(chunks('whole'))
  chmodSync(store.blobPath(stored.digest), 0o644)
  writeFileSync(store.blobPath(stored.digest), 'wh')
  await store.putBlob(chunks('whole'), { expected: stored })
  t.is(readFileSync(store.blobPath(stored.digest), 'utf8'), 'whole')
})

test('a batch shows nothing before its commit and all of it afterwards', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  using batch = store.openBatch()
  const one = await batch.put(chunks('one'))
  using writer = batch.create()
  writer.write(Buffer.from('two'))
  const two = writer.finish()
  t.false(await store.hasBlob(one.digest))
  await batch.commit()
  t.true(await store.hasBlob(one.digest))
  t.true(await store.hasBlob(two.digest))
})

test('a batch that is dropped leaves nothing, nor does a committed one', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  {
    using batch = store.openBatch()
    await batch.put(chunks('dropped'))
    batch.create().write(Buffer.from('unfinished'))
    t.is(readdirSync(scratch.at('oci', 'ingest')).length, 2)
  }
  t.deepEqual(readdirSync(scratch.at('oci', 'ingest')), [])
  await store.putBlob(chunks('kept'))
  t.deepEqual(readdirSync(scratch.at('oci', 'ingest')), [])
  t.deepEqual(readdirSync(scratch.at('oci', 'blobs', 'sha256')), [hexOf(digestOf('kept'))])
})

test('members and annotations of other programs stay', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await putNamed(store, 'debian:12')
  const index = readIndex(store.root)
  const foreign = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: `sha512:${'0'.repeat(128)}`,
    size: 3,
    annotations: { 'org.example.note': 'mine' },
    'x-unknown': [1, 2],
  }
  writeFileSync(
    `${store.root}/index.json`,
    JSON.stringify({ ...index, annotations: { a: 'b' }, manifests: [...index.manifests, foreign] }),
  )
  await putNamed(store, 'debian:13')
  const now = readIndex(store.root)
  t.deepEqual(now['annotations'], { a: 'b' })
  t.deepEqual(now.manifests[1], foreign)
  t.is((await store.listImages()).length, 2)
})

test('short names that another program wrote are found as people mean them', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putNamed(store, 'x:1')
  const index = readIndex(store.root)
  index.manifests = index.manifests.map(entry => ({
    ...entry,
    annotations: { 'org.opencontainers.image.ref.name': 'debian:12' },
  }))
  writeFileSync(`${store.root}/index.json`, JSON.stringify(index))
  t.is((await store.findImage(ref('docker.io/library/debian:12')))?.digest, descriptor.digest)
})

test('an index that another program is just writing is waited for', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await putNamed(store, 'debian:12')
  const text = readFileSync(`${store.root}/index.json`, 'utf8')
  writeFileSync(`${store.root}/index.json`, text.slice(0, 40))
  const listed = store.listImages()
  setTimeout(() => writeFileSync(`${store.root}/index.json`, text), 20)
  t.is((await listed).length, 1)
})

test('an index that stays broken is an error with its name', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await putNamed(store, 'debian:12')
  writeFileSync(`${store.root}/index.json`, '{"manifests": [')
  await t.throwsAsync(store.listImages(), {
    code: 'STORE_INVALID',
    message: /index\.json is not valid/,
  })
})

test('an image without a name is listed, kept once, and named later', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putImage(store, 'anonymous')
  await store.keepImage(descriptor)
  await store.keepImage(descriptor)
  t.deepEqual(await store.listEntries(), [{ reference: undefined, descriptor }])
  t.deepEqual(await store.listImages(), [])
  await store.tagImage(ref('named:1'), descriptor)
  t.is((await store.listEntries()).length, 1)
})

test('an image is dropped with all its names', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const descriptor = await putNamed(store, 'a:1')
  await store.tagImage(ref('b:1'), descriptor)
  t.true(await store.dropImage(descriptor.digest))
  t.false(await store.dropImage(descriptor.digest))
  t.deepEqual(await store.listEntries(), [])
})

test('packings of a layer are remembered while their blobs are there', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const diffId = digestOf('tar') as never
  const stored = await store.putBlob(chunks('packed'))
  const record = {
    diffId,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
    ...stored,
    tarBytes: 3,
  }
  await store.rememberLayer(record)
  await store.rememberLayer({ ...record, digest: digestOf('not stored'), size: 4 })
  t.deepEqual(store.findLayers(diffId), [record])
})

test('asking for a blob makes it young again', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { digest } = await store.putBlob(chunks('old'))
  utimesSync(store.blobPath(digest), 1, 1)
  await store.hasBlob(digest)
  t.true(statSync(store.blobPath(digest)).mtimeMs > Date.now() - 60_000)
})

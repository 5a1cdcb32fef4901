// A store that somebody has written nonsense into: one clear error, and nothing is lost.

import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { openImage } from '../../src/image/open-image.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { checkStore } from '../../src/store/check-store.ts'
import { copyImage } from '../../src/store/copy-image.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import { readBlob } from '../../src/store/verified-stream.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { chunks, putImage, putNamed, putText, ref } from './small-image.ts'

const refName = 'org.opencontainers.image.ref.name'

interface Store extends Disposable {
  readonly store: DiskStore
  readonly index: string
  /** Every blob's name. */
  readonly blobs: () => readonly string[]
}

/** With the image `kept:1`, all of it two hours old. */
async function makeStore(): Promise<Store> {
  const scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await putNamed(store, 'kept:1')
  const directory = scratch.at('oci', 'blobs', 'sha256')
  const before = Date.now() / 1000 - 7200
  for (const name of readdirSync(directory)) utimesSync(path.join(directory, name), before, before)
  return {
    store,
    index: scratch.at('oci', 'index.json'),
    blobs: () => readdirSync(directory).toSorted(),
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

const deep = '['.repeat(100_000) + ']'.repeat(100_000)

const brokenIndexes: readonly [string, (text: string) => string, RegExp][] = [
  ['is no JSON', () => 'hello', /index\.json is not valid JSON/],
  ['is empty', () => '', /index\.json is not valid JSON/],
  ['is cut', text => text.slice(0, -20), /index\.json is not valid JSON/],
  ['is a list', () => '[]', /index\.json: expected an object, got \[\]/],
  ['has a text for manifests', () => '{"manifests":"x"}', /manifests: expected a list, got "x"/],
  ['has a number for an entry', () => '{"manifests":[1]}', /manifests: expected an object, got 1/],
  ['is nested deeply', () => `{"x":${deep},"manifests":[]}`, /nested deeper than 32 levels/],
  [
    'has its manifests twice',
    text => text.replace('"manifests"', '"manifests":[],"manifests"'),
    /has the member "manifests" twice in one object/,
  ],
]

for (const [what, harm, message] of brokenIndexes)
  test(`an index that ${what} stops who writes or removes, and stays as it is`, async t => {
    using made = await makeStore()
    const { store, index, blobs } = made
    const descriptor = await store.findImage(ref('kept:1'))
    const before = blobs()
    const harmed = harm(readFileSync(index, 'utf8'))
    writeFileSync(index, harmed)
    await t.throwsAsync(store.listImages(), { code: 'STORE_INVALID', message })
    await t.throwsAsync(store.collectGarbage({ graceMs: 0 }), { code: 'STORE_INVALID', message })
    if (descriptor !== undefined)
      await t.throwsAsync(store.tagImage(ref('x:1'), descriptor), { code: 'STORE_INVALID' })
    await t.throwsAsync(store.untagImage(ref('kept:1')), { code: 'STORE_INVALID', message })
    t.is(readFileSync(index, 'utf8'), harmed)
    t.deepEqual(blobs(), before)
    const { findings } = await checkStore(store, { repair: false })
    t.deepEqual(
      findings.map(({ rule }) => rule),
      ['index-unreadable'],
    )
  })

test('an index larger than any is refused before it is read into values', async t => {
  using made = await makeStore()
  truncateSync(made.index, 65 * 1024 * 1024)
  await t.throwsAsync(made.store.listImages(), {
    code: 'STORE_INVALID',
    message: /index\.json has \d+ bytes; at most 67108864 are read/,
  })
})

test('an entry that has its digest twice stops garbage collection', async t => {
  using made = await makeStore()
  const { store, index, blobs } = made
  const other = `"digest":"sha256:${'0'.repeat(64)}"`
  writeFileSync(
    index,
    readFileSync(index, 'utf8').replace('}]}', `},${other}}]}`).replace('}},', '},'),
  )
  const before = blobs()
  await t.throwsAsync(store.collectGarbage({ graceMs: 0 }), {
    code: 'STORE_INVALID',
    message: /"digest" twice/,
  })
  t.deepEqual(blobs(), before)
})

const names = [
  '../../etc/passwd',
  '/etc/passwd',
  'a/../b:1',
  '..',
  'A:1',
  `x:${'t'.repeat(200)}`,
  '',
]

for (const name of names)
  test(`an entry named ${JSON.stringify(name.slice(0, 20))} is kept, and found by its digest alone`, async t => {
    using made = await makeStore()
    const { store, index } = made
    const descriptor = await putImage(store, 'foreign')
    const document = JSON.parse(readFileSync(index, 'utf8'))
    document.manifests.push({ ...descriptor, annotations: { [refName]: name } })
    writeFileSync(index, JSON.stringify(document))
    t.deepEqual(
      (await store.listEntries()).map(({ reference }) => reference?.repository),
      ['library/kept', undefined],
    )
    await store.tagImage(ref('kept:2'), descriptor)
    const texts = JSON.parse(readFileSync(index, 'utf8')).manifests.map(
      (entry: { annotations: Record<string, string> }) => entry.annotations[refName],
    )
    t.true(texts.includes(name), 'the entry of the other program stays')
    t.is((await store.collectGarbage({ graceMs: 0 })).blobs, 0)
  })

test('a digest that leads out of the store opens nothing', async t => {
  using made = await makeStore()
  const { store, index } = made
  const document = JSON.parse(readFileSync(index, 'utf8'))
  document.manifests.push({ ...document.manifests[0], digest: 'sha256:../../index.json' })
  writeFileSync(index, JSON.stringify(document))
  t.is((await store.listEntries()).length, 1)
  t.throws(() => parseDigest('sha256:../../index.json'), { code: 'DIGEST_INVALID' })
})

test('indexes in indexes, a hundred deep, are kept, and no image', async t => {
  using made = await makeStore()
  const { store, blobs } = made
  let inner = await putImage(store, 'innermost')
  for (let level = 0; level < 100; level++) {
    const text = JSON.stringify({ schemaVersion: 2, manifests: [inner] })
    inner = await putText(store, mediaTypes.index, text)
  }
  await store.tagImage(ref('deep:1'), inner)
  const before = blobs()
  t.is((await store.collectGarbage({ graceMs: 0 })).blobs, 0)
  t.deepEqual(blobs(), before)
  await t.throwsAsync(openImage(store, inner), { message: /indexes|no container image/ })
  await t.throwsAsync(copyImage(store, memoryStore(), ref('deep:1')), {
    code: 'ARCHIVE_INVALID',
    message: /indexes in indexes deeper than 4/,
  })
  t.deepEqual((await checkStore(store, { repair: false })).findings, [])
})

test('indexes that name each other are damaged, and end', async t => {
  using made = await makeStore()
  const { store, blobs } = made
  // No hash can name itself: one of two that do must have the wrong name.
  const first = await putText(store, mediaTypes.index, '{"schemaVersion":2,"manifests":[]}')
  const second = await putText(
    store,
    mediaTypes.index,
    JSON.stringify({ schemaVersion: 2, manifests: [first] }),
  )
  const looping = JSON.stringify({
    schemaVersion: 2,
    manifests: [{ ...second, size: second.size }],
  })
  await store.tagImage(ref('loop:1'), second)
  const { chmodSync } = await import('node:fs')
  chmodSync(store.blobPath(first.digest), 0o644)
  writeFileSync(store.blobPath(first.digest), looping)
  const before = blobs()
  t.is((await store.collectGarbage({ graceMs: 0 })).blobs, 0)
  t.deepEqual(blobs(), before)
  const { findings } = await checkStore(store, { repair: false })
  t.deepEqual(
    findings.map(({ rule, subject }) => `${rule} ${subject}`),
    [`blob-damaged ${first.digest}`, 'image-incomplete loop:1'],
  )
})

const lies: readonly [string, number][] = [
  ['smaller', 3],
  ['larger', 5000],
  ['of 4 GB', 4 * 1024 ** 3],
]

for (const [what, size] of lies)
  test(`a manifest that says a layer is ${what} gets no name`, async t => {
    using made = await makeStore()
    const { store } = made
    const layer = await store.putBlob(chunks('a layer of this length'))
    const config = await putText(store, mediaTypes.config, '{}')
    const layers = [{ mediaType: mediaTypes.layerTar, digest: layer.digest, size }]
    const lying = JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config,
      layers,
    })
    const manifest = await putText(store, mediaTypes.manifest, lying)
    const wanted = {
      code: 'ARCHIVE_INVALID',
      message: /says that sha256:\w+ has \d+ bytes; it has 22/,
    }
    await t.throwsAsync(store.tagImage(ref('lying:1'), manifest), wanted)
    await t.throwsAsync(store.keepImage(manifest), wanted)
    t.deepEqual((await store.listImages()).length, 1)
  })

test('a configuration of 4 GB is never read into memory', async t => {
  using made = await makeStore()
  const { store } = made
  // A sparse file of that length: reading it would take all memory, or minutes.
  const size = 4 * 1024 ** 3
  const digest = parseDigest(`sha256:${createHash('sha256').update('large').digest('hex')}`)
  writeFileSync(store.blobPath(digest), '')
  truncateSync(store.blobPath(digest), size)
  const config = { mediaType: mediaTypes.config, digest, size }
  await t.throwsAsync(readBlob(store, config), {
    code: 'ARCHIVE_INVALID',
    message: /has 4294967296 bytes; at most \d+ are read/,
  })
  const manifest = await putText(
    store,
    mediaTypes.manifest,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] }),
  )
  await store.keepImage(manifest)
  await t.throwsAsync(openImage(store, manifest), { code: 'ARCHIVE_INVALID' })
  t.is((await store.collectGarbage({ graceMs: 0 })).blobs, 0)
  // One that lies about it is found out by its file.
  await t.throwsAsync(readBlob(store, { ...config, size: 100 }), { code: 'BLOB_CORRUPT' })
})

test('entries of unknown media types are kept whole through every change', async t => {
  using made = await makeStore()
  const { store, index } = made
  const layer = await putText(store, 'application/vnd.example.layer', 'of another kind')
  const artifact = await putText(
    store,
    'application/vnd.example.artifact+json',
    JSON.stringify({ blobs: [layer] }),
  )
  const document = JSON.parse(readFileSync(index, 'utf8'))
  const entry = {
    ...artifact,
    annotations: { [refName]: 'artifact:1', 'org.example': 'x' },
    extra: [1],
  }
  document.manifests.push(entry)
  writeFileSync(index, JSON.stringify(document))
  await putNamed(store, 'more:1')
  await store.untagImage(ref('kept:1'))
  await store.collectGarbage({ graceMs: 0 })
  t.deepEqual(
    JSON.parse(readFileSync(index, 'utf8')).manifests.find(
      (each: { digest: string }) => each.digest === artifact.digest,
    ),
    entry,
  )
  t.true(existsSync(store.blobPath(layer.digest)))
})

test('no image gets a name that could not be told from a digest', async t => {
  using made = await makeStore()
  const { store } = made
  for (const { descriptor } of await store.listImages()) {
    for (const name of [`sha256:${'a'.repeat(64)}`, 'a'.repeat(64), `docker.io/library/sha256`])
      await t.throwsAsync(
        store.tagImage(ref(name), descriptor),
        { code: 'REFERENCE_INVALID' },
        name,
      )
    await store.tagImage(ref('example.org/sha256:1'), descriptor)
  }
  t.is((await store.listImages()).length, 2)
})

test('a directory in the place of a blob, and a link, are told and touch nothing', async t => {
  using made = await makeStore()
  const { store } = made
  const { symlinkSync } = await import('node:fs')
  const hex = 'a'.repeat(64)
  mkdirSync(path.join(path.dirname(store.blobPath(parseDigest(`sha256:${hex}`))), hex))
  const linked = store.blobPath(parseDigest(`sha256:${'b'.repeat(64)}`))
  symlinkSync(made.index, linked)
  const { findings } = await checkStore(store, { repair: true })
  t.deepEqual(
    findings.map(({ rule }) => rule),
    ['blob-name', 'blob-name'],
  )
  for (const { hint } of findings) t.notRegex(hint ?? '', /no image needs it/)
  await store.collectGarbage({ graceMs: -3_600_000 })
  t.true(existsSync(made.index))
})

import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import test from 'ava'
import { emptyIndex, storeIndex } from '../../src/image/edit-index.ts'
import {
  createdMsOf,
  labelsOf,
  listSummaries,
  summariesDirectory,
} from '../../src/image/image-summaries.ts'
import type { DiffId } from '../../src/oci/digest.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { ref } from '../store/small-image.ts'
import { defined } from './archive-forms.ts'
import { makeImage, smallTar } from './make-image.ts'

interface Trial extends Disposable {
  readonly scratch: Scratch
  readonly store: DiskStore
  list(): ReturnType<typeof listSummaries>
}

function makeTrial(): Trial {
  const scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  return {
    scratch,
    store,
    list: () => listSummaries(store, scratch.path),
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

test('images are listed newest first, with what their documents say', async t => {
  using trial = makeTrial()
  const old = await makeImage(trial.store, { layers: ['a'], name: 'old:1' })
  const created = '2030-01-01T00:00:00Z'
  await makeImage(trial.store, { layers: ['b'], name: 'new:1', config: { created } })
  const listed = await trial.list()
  t.deepEqual(
    listed.map(({ reference }) => reference?.repository),
    ['library/new', 'library/old'],
  )
  const [newer, older] = [defined(listed[0]), defined(listed[1])]
  t.is(createdMsOf(newer), Date.parse(created))
  const summary = defined(older.summary)
  t.is(summary.configDigest, old.manifest.config.digest)
  t.deepEqual(labelsOf(summary), { a: 'b' })
})

test('a second list reads no document: it is the same where they are gone', async t => {
  using trial = makeTrial()
  await makeImage(trial.store, { layers: ['a'], name: 'one:1' })
  await makeImage(trial.store, { layers: ['b'], name: 'two:1' })
  const first = await trial.list()
  rmSync(`${trial.store.root}/blobs`, { recursive: true })
  t.deepEqual(await trial.list(), first)
})

test('an image whose documents are damaged is listed without a summary, and read again the next time', async t => {
  using trial = makeTrial()
  const image = await makeImage(trial.store, { name: 'one:1' })
  const file = trial.store.blobPath(image.manifest.config.digest)
  const bytes = readFileSync(file)
  rmSync(file)
  t.is(defined((await trial.list())[0]).summary, undefined)
  writeFileSync(file, bytes)
  t.not(defined((await trial.list())[0]).summary, undefined)
})

test('an index without an image for this machine is listed with one that it has', async t => {
  using trial = makeTrial()
  const config = { architecture: 's390x' }
  const image = await makeImage(trial.store, { config })
  const platform = { os: 'linux', architecture: 's390x' }
  const manifests = [{ ...image.descriptor, platform }]
  const index = await storeIndex(trial.store, { ...emptyIndex, manifests })
  await trial.store.tagImage(ref('foreign:1'), index)
  const [listed] = await trial.list()
  t.is(listed?.summary?.configDigest, image.manifest.config.digest)
})

test('the size is that of the tars as soon as somebody has measured them', async t => {
  using trial = makeTrial()
  const { layers } = await makeImage(trial.store, { layers: ['a'], codec: 'gzip', name: 'one:1' })
  const layer = defined(layers[0])
  const sizeBytes = async (): Promise<number | undefined> =>
    (await trial.list())[0]?.summary?.sizeBytes
  t.is(await sizeBytes(), layer.descriptor.size)
  await trial.store.rememberLayer({
    ...layer.descriptor,
    diffId: 'sha256:0' as DiffId,
    tarBytes: 1,
  })
  t.is(await sizeBytes(), layer.descriptor.size)
  const tarBytes = smallTar('a').length
  await trial.store.rememberLayer({ ...layer.descriptor, diffId: layer.diffId, tarBytes })
  t.is(await sizeBytes(), tarBytes)
  t.is(await sizeBytes(), tarBytes)
})

test('a record that was cut short or holds something else is made anew', async t => {
  using trial = makeTrial()
  await makeImage(trial.store, { name: 'one:1' })
  const first = await trial.list()
  const directory = trial.scratch.at(summariesDirectory)
  for (const name of readdirSync(directory)) {
    const file = `${directory}/${name}`
    for (const content of ['', 'nonsense', readFileSync(file, 'utf8').slice(0, -2)]) {
      writeFileSync(file, content)
      t.deepEqual(await trial.list(), first, `${name}: ${content}`)
    }
  }
})

test('what a configuration says of its time cannot pass for another field of the record', async t => {
  using trial = makeTrial()
  await makeImage(trial.store, { name: 'one:1', config: { created: '2020\t99\tx\nsha256:1\tz' } })
  for (const _ of [1, 2]) t.is(defined((await trial.list())[0]).summary?.created, '')
})

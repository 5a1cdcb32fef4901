import { readFileSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { createImage, imageDocuments } from '../../src/image/create-image.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import { schemaFindings } from '../helpers/json-schema.ts'
import { conformancePath, testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeImage } from './make-image.ts'

test('the same parts give the same digests, whatever the order of members', t => {
  const layers: never[] = []
  const one = imageDocuments({
    layers,
    config: { os: 'linux', architecture: 'amd64', config: { User: 'a', Cmd: ['b'] } },
  })
  const two = imageDocuments({
    layers,
    config: { config: { Cmd: ['b'], User: 'a' }, architecture: 'amd64', os: 'linux' },
  })
  t.is(one.manifest.descriptor.digest, two.manifest.descriptor.digest)
})

test('documents are known before they are written', async t => {
  const store = memoryStore()
  const image = await makeImage(store)
  const parts = {
    layers: image.layers,
    config: { os: 'linux', architecture: 'amd64' },
    annotations: { 'org.example': 'x' },
  }
  const documents = imageDocuments(parts)
  const created = await createImage(store, parts)
  t.deepEqual(created.descriptor, documents.manifest.descriptor)
  t.deepEqual(
    await buffer(await store.openBlob(created.descriptor)),
    documents.manifest.bytes as Buffer,
  )
})

test('a history that tells of other layers is a mistake of ours', t => {
  t.throws(
    () => imageDocuments({ layers: [], config: { os: 'l', architecture: 'a', history: [{}] } }),
    { code: 'INTERNAL' },
  )
})

testWith({ conformance: 'image-spec' })(
  'what is written fits the schemas of the specification',
  async t => {
    using scratch = makeScratch()
    const store = diskStore(scratch.at('oci'))
    const image = await makeImage(store, { layers: ['a', 'b'], name: 'debian:12' })
    const check = (schema: string, file: string): boolean =>
      t.deepEqual(
        schemaFindings(
          conformancePath(`image-spec/${schema}`),
          JSON.parse(readFileSync(file, 'utf8')),
        ),
        [],
        file,
      )
    check('image-manifest-schema.json', store.blobPath(image.descriptor.digest))
    check('config-schema.json', store.blobPath(image.manifest.config.digest))
    check('image-index-schema.json', scratch.at('oci', 'index.json'))
    check('image-layout-schema.json', scratch.at('oci', 'oci-layout'))
    t.not(
      schemaFindings(conformancePath('image-spec/image-manifest-schema.json'), { schemaVersion: 1 })
        .length,
      0,
    )
  },
)

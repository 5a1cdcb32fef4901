// Indexes made by hand: what kauri does not know in them stays, and attestations go with the images they speak of.

import { buffer } from 'node:stream/consumers'
import test from 'ava'
import {
  addToIndex,
  annotateIndex,
  annotateInIndex,
  type EditedIndex,
  newIndex,
  readIndex,
  removeFromIndex,
  storeEditedIndex,
} from '../../src/image/edit-index.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type DiskStore, diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { chunks } from '../store/small-image.ts'
import { makeImage } from './make-image.ts'

async function putDocument(store: DiskStore, document: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(document))
  return { mediaType: mediaTypes.index, ...(await store.putBlob(chunks(bytes))) }
}

async function documentOf(store: DiskStore, index: EditedIndex): Promise<Record<string, unknown>> {
  const bytes = await buffer(await store.openBlob(await storeEditedIndex(store, index)))
  return JSON.parse(bytes.toString('utf8'))
}

test('an index of somebody else keeps every member through every change', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const one = await makeImage(store, { layers: ['one'] })
  const two = await makeImage(store, { layers: ['two'], config: { architecture: 'arm64' } })
  const entry = {
    ...one.descriptor,
    platform: { os: 'linux', architecture: 'amd64', features: ['sse4'] },
    'org.example': { nested: [1] },
  }
  const found = await putDocument(store, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    artifactType: 'application/x',
    subject: { mediaType: 'application/y', digest: digestOf('y'), size: 1 },
    'org.example.future': true,
    manifests: [entry],
  })
  const read = await readIndex(store, found)
  t.is((await storeEditedIndex(store, read)).digest, (await storeEditedIndex(store, read)).digest)
  const added = await addToIndex(store, read, two.descriptor)
  const noted = annotateInIndex(added, one.descriptor, {
    platform: { variant: 'v3' },
    annotations: { a: 'b' },
  })
  const document = await documentOf(store, annotateIndex(noted, { of: 'the index' }))
  t.like(document, {
    artifactType: 'application/x',
    subject: { mediaType: 'application/y' },
    'org.example.future': true,
    annotations: { of: 'the index' },
  })
  t.like(document['manifests'], [
    {
      'org.example': { nested: [1] },
      annotations: { a: 'b' },
      platform: { architecture: 'amd64', variant: 'v3', features: ['sse4'] },
    },
    { digest: two.descriptor.digest },
  ])
})

const attestationOf = (image: Descriptor, name: string): Record<string, unknown> => ({
  mediaType: mediaTypes.manifest,
  digest: digestOf(name),
  size: 1,
  platform: { os: 'unknown', architecture: 'unknown' },
  annotations: {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': image.digest,
  },
})

test('attestations stay side by side, and go with the image that they speak of', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const one = await makeImage(store, { layers: ['one'] })
  const two = await makeImage(store, { layers: ['two'], config: { architecture: 'arm64' } })
  const images = [
    { ...one.descriptor, platform: { os: 'linux', architecture: 'amd64' } },
    { ...two.descriptor, platform: { os: 'linux', architecture: 'arm64' } },
  ]
  const attestations = [
    attestationOf(one.descriptor, 'first'),
    attestationOf(two.descriptor, 'second'),
  ]
  const manifests = [...images, ...attestations]
  const index = await readIndex(store, await putDocument(store, { schemaVersion: 2, manifests }))
  const digestsOf = ({ entries }: EditedIndex): string[] =>
    entries.map(({ descriptor }) => descriptor.digest)
  t.deepEqual(digestsOf(removeFromIndex(index, one.descriptor)), [
    two.descriptor.digest,
    digestOf('second'),
  ])
  const newer = await makeImage(store, { layers: ['newer'] })
  t.deepEqual(digestsOf(await addToIndex(store, index, newer.descriptor)), [
    two.descriptor.digest,
    digestOf('second'),
    newer.descriptor.digest,
  ])
})

test('versions of an operating system stand side by side', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  let index = newIndex
  for (const version of ['10.0.1', '10.0.2', '10.0.1']) {
    const config = { os: 'windows', 'os.version': version, author: String(index.entries.length) }
    const { descriptor } = await makeImage(store, { layers: ['a'], config })
    index = await addToIndex(store, index, descriptor)
  }
  t.deepEqual(
    index.entries.map(({ descriptor }) => descriptor.platform?.['os.version']),
    ['10.0.2', '10.0.1'],
  )
})

test('a list of docker’s stays one as long as only docker’s manifests are in it', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const manifests = [{ mediaType: mediaTypes.dockerManifest, digest: digestOf('x'), size: 1 }]
  const document = { schemaVersion: 2, mediaType: mediaTypes.dockerIndex, manifests }
  const descriptor = { ...(await putDocument(store, document)), mediaType: mediaTypes.dockerIndex }
  const index = await readIndex(store, descriptor)
  t.is((await storeEditedIndex(store, index)).mediaType, mediaTypes.dockerIndex)
  const image = await makeImage(store)
  const added = await addToIndex(store, index, image.descriptor)
  t.is((await storeEditedIndex(store, added)).mediaType, mediaTypes.index)
})

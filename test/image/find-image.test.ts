import test from 'ava'
import { createImage, type ImageParts, imageDocuments } from '../../src/image/create-image.ts'
import { emptyIndex, storeIndex } from '../../src/image/edit-index.ts'
import { displayName, findImage, getImage } from '../../src/image/find-image.ts'
import { parseReference } from '../../src/oci/reference.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { makeImage } from './make-image.ts'

test('an image is found by name, by digest and by the beginning of one', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { descriptor } = await makeImage(store, { name: 'debian:12' })
  const { digest } = descriptor
  const hex = digest.slice('sha256:'.length)
  for (const text of [
    'debian:12',
    `debian@${digest}`,
    digest,
    hex,
    hex.slice(0, 12),
    `sha256:${hex.slice(0, 6)}`,
  ])
    t.is((await findImage(store, text))?.descriptor.digest, digest, text)
  for (const text of ['debian', 'ubuntu:12', hex.slice(0, 3), 'ffff'.repeat(16)])
    t.is(await findImage(store, text), undefined, text)
})

test('an image of an index is found by its digest, and by a name of the index with it', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { descriptor } = await makeImage(store)
  const missing = await makeImage(diskStore(scratch.at('elsewhere')), { layers: ['other'] })
  const manifests = [descriptor, missing.descriptor]
  const index = await storeIndex(store, { ...emptyIndex, manifests })
  await store.tagImage(parseReference('app:1'), index)
  const hex = descriptor.digest.slice('sha256:'.length)
  for (const text of [descriptor.digest, hex, hex.slice(0, 12), `app@${descriptor.digest}`]) {
    const found = await findImage(store, text)
    t.like(found, { descriptor: { digest: descriptor.digest }, memberOf: index.digest }, text)
  }
  for (const text of [
    `app:2@${descriptor.digest}`,
    `other@${descriptor.digest}`,
    missing.descriptor.digest,
  ])
    t.is(await findImage(store, text), undefined, text)
})

test('a name that looks like a digest wins over the digest', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { descriptor } = await makeImage(store, { layers: ['one'] })
  await store.keepImage(descriptor)
  const prefix = descriptor.digest.slice(7, 13)
  const named = await makeImage(store, { layers: ['two'], name: `${prefix}:latest` })
  t.is((await findImage(store, prefix))?.descriptor.digest, named.descriptor.digest)
})

const partsBy = (author: number): ImageParts => ({
  layers: [],
  config: { os: 'linux', architecture: 'amd64', author: String(author) },
})

const prefixBy = (author: number): string =>
  imageDocuments(partsBy(author)).manifest.descriptor.digest.slice(7, 11)

/** Two images whose digests begin with the same four digits. */
function collidingAuthors(): readonly [number, number] {
  const seen = new Map<string, number>()
  for (let author = 0; ; author++) {
    const other = seen.get(prefixBy(author))
    if (other !== undefined) return [other, author]
    seen.set(prefixBy(author), author)
  }
}

test('a beginning that fits two images is refused', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const [one, two] = collidingAuthors()
  for (const author of [one, two])
    await store.keepImage((await createImage(store, partsBy(author))).descriptor)
  const prefix = prefixBy(one)
  await t.throwsAsync(findImage(store, prefix), {
    code: 'USAGE',
    message: /beginning of 2 digests/,
  })
})

test('an image that is not there, and names outside the grammar, are said', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  await t.throwsAsync(getImage(store, 'nothing'), { code: 'IMAGE_NOT_FOUND' })
  await t.throwsAsync(getImage(store, 'UPPER'), { code: 'REFERENCE_INVALID' })
})

test('an image without a name is called by its digest', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.at('oci'))
  const { descriptor } = await makeImage(store)
  await store.keepImage(descriptor)
  t.is(displayName(await getImage(store, descriptor.digest)), descriptor.digest)
})

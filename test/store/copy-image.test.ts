import test from 'ava'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { copyImage } from '../../src/store/copy-image.ts'
import { memoryStore } from '../../src/store/memory-store.ts'
import type { ImageStore } from '../../src/store/store.ts'
import { putImage, putNamed, putText, ref } from './small-image.ts'

/** A store that counts how often each blob is put. */
function countingStore(): ImageStore & { readonly puts: Map<string, number> } {
  const store = memoryStore()
  const puts = new Map<string, number>()
  return {
    ...store,
    puts,
    async putBlob(source, options) {
      const stored = await store.putBlob(source, options)
      puts.set(stored.digest, (puts.get(stored.digest) ?? 0) + 1)
      return stored
    },
  }
}

test('an image arrives with the same digest, each blob once', async t => {
  const from = memoryStore()
  const to = countingStore()
  const descriptor = await putNamed(from, 'app:1')
  t.is((await copyImage(from, to, ref('app:1'))).digest, descriptor.digest)
  t.is((await to.findImage(ref('app:1')))?.digest, descriptor.digest)
  t.deepEqual([...to.puts.values()], [1, 1, 1])
  await copyImage(from, to, ref('app:1'), { as: ref('other:2') })
  t.deepEqual([...to.puts.values()], [1, 1, 1])
  t.is((await to.findImage(ref('other:2')))?.digest, descriptor.digest)
})

test('an index takes along the platforms that are there', async t => {
  const from = memoryStore()
  const to = memoryStore()
  const here = await putImage(from, 'amd64')
  const missing = { ...here, digest: here.digest.replace(/.$/, d => (d === '0' ? '1' : '0')) }
  const text = JSON.stringify({ schemaVersion: 2, manifests: [here, missing] })
  await from.tagImage(ref('multi:1'), await putText(from, mediaTypes.index, text))
  await copyImage(from, to, ref('multi:1'))
  t.true(await to.hasBlob(here.digest))
})

test('a name that is not there is said', async t => {
  await t.throwsAsync(copyImage(memoryStore(), memoryStore(), ref('nothing')), {
    code: 'IMAGE_NOT_FOUND',
    message: 'there is no image nothing:latest',
  })
})

test('a damaged source gives no name in the target', async t => {
  const from = memoryStore()
  await putNamed(from, 'app:1')
  const to = memoryStore()
  const damaged: ImageStore = {
    ...from,
    openBlob: async descriptor =>
      descriptor.mediaType === mediaTypes.layerTar
        ? (await import('node:stream')).Readable.from([Buffer.from('xxxxx')])
        : await from.openBlob(descriptor),
  }
  await t.throwsAsync(copyImage(damaged, to, ref('app:1')), { code: 'CHECKSUM_MISMATCH' })
  t.deepEqual(await to.listImages(), [])
})

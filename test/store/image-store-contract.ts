// What every ImageStore promises; run on each implementation.

import { buffer } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { formatReference } from '../../src/oci/reference.ts'
import type { ImageStore } from '../../src/store/store.ts'
import { chunks, putImage, putNamed, putText, ref } from './small-image.ts'

export interface StoreUnderTest extends Disposable {
  readonly store: ImageStore
}

export function imageStoreContract(kind: string, make: () => StoreUnderTest): void {
  const contract = (
    title: string,
    body: (store: ImageStore, t: ExecutionContext) => Promise<void>,
  ): void =>
    test(`${kind}: ${title}`, async t => {
      using subject = make()
      await body(subject.store, t)
    })

  contract('a blob comes back as it was put, under its digest', async (store, t) => {
    const stored = await store.putBlob(chunks('hello ', 'world'))
    t.deepEqual(stored, { digest: digestOf('hello world'), size: 11 })
    const opened = await store.openBlob({ mediaType: 'text/plain', ...stored })
    t.is((await buffer(opened)).toString(), 'hello world')
    t.true(await store.hasBlob(stored.digest))
  })

  contract('the empty blob is a blob', async (store, t) => {
    const stored = await store.putBlob(chunks())
    t.deepEqual(stored, { digest: digestOf(''), size: 0 })
    t.is((await buffer(await store.openBlob({ mediaType: 'text/plain', ...stored }))).length, 0)
  })

  contract('putting the same bytes twice is the same as once', async (store, t) => {
    t.deepEqual(await store.putBlob(chunks('x')), await store.putBlob(chunks('x')))
  })

  contract(
    'bytes that are not the expected ones are refused and stay invisible',
    async (store, t) => {
      const expected = { digest: digestOf('wanted') }
      await t.throwsAsync(store.putBlob(chunks('other'), { expected }), {
        code: 'CHECKSUM_MISMATCH',
      })
      await t.throwsAsync(store.putBlob(chunks('wanted'), { expected: { ...expected, size: 5 } }), {
        code: 'CHECKSUM_MISMATCH',
      })
      t.false(await store.hasBlob(digestOf('other')))
      t.false(await store.hasBlob(digestOf('wanted')))
    },
  )

  contract('a source that fails leaves nothing', async (store, t) => {
    const failing = (async function* () {
      yield Buffer.from('half')
      throw new Error('connection lost')
    })()
    await t.throwsAsync(store.putBlob(failing), { message: 'connection lost' })
    t.false(await store.hasBlob(digestOf('half')))
  })

  contract('an abort ends a put', async (store, t) => {
    const controller = new AbortController()
    const endless = (async function* () {
      for (let count = 0; ; count++) {
        if (count === 3) controller.abort(new Error('enough'))
        yield Buffer.alloc(10)
      }
    })()
    await t.throwsAsync(store.putBlob(endless, { signal: controller.signal }), {
      message: 'enough',
    })
  })

  contract('a missing blob is said to be missing', async (store, t) => {
    const digest = digestOf('nowhere')
    t.false(await store.hasBlob(digest))
    await t.throwsAsync(store.openBlob({ mediaType: 'text/plain', digest, size: 7 }), {
      code: 'BLOB_NOT_FOUND',
    })
  })

  contract('a descriptor with another size is refused', async (store, t) => {
    const { digest } = await store.putBlob(chunks('four'))
    await t.throwsAsync(store.openBlob({ mediaType: 'text/plain', digest, size: 5 }), {
      code: 'BLOB_CORRUPT',
    })
  })

  contract('names are found in every form that means the same', async (store, t) => {
    const descriptor = await putNamed(store, 'debian')
    t.is((await store.findImage(ref('docker.io/library/debian:latest')))?.digest, descriptor.digest)
    t.is((await store.findImage(ref(`debian@${descriptor.digest}`)))?.digest, descriptor.digest)
    t.is(
      (await store.findImage(ref(`debian:latest@${descriptor.digest}`)))?.digest,
      descriptor.digest,
    )
    t.is(await store.findImage(ref('debian:12')), undefined)
    t.is(await store.findImage(ref(`debian@${digestOf('other')}`)), undefined)
    t.is(await store.findImage(ref(`ubuntu@${descriptor.digest}`)), undefined)
  })

  contract('a name moves to the image that gets it last', async (store, t) => {
    await putNamed(store, 'app:1', 'old')
    const now = await putNamed(store, 'app:1', 'new')
    t.is((await store.findImage(ref('app:1')))?.digest, now.digest)
    t.is((await store.listImages()).length, 1)
  })

  contract('one image may have many names, listed in order', async (store, t) => {
    const descriptor = await putImage(store, 'content')
    for (const name of ['b:1', 'a:2', 'localhost:5000/x/y:v1', 'a:1'])
      await store.tagImage(ref(name), descriptor)
    t.deepEqual(
      (await store.listImages()).map(({ reference }) => formatReference(reference)),
      [
        'docker.io/library/a:1',
        'docker.io/library/a:2',
        'docker.io/library/b:1',
        'localhost:5000/x/y:v1',
      ],
    )
  })

  contract('a name can be taken away once', async (store, t) => {
    await putNamed(store, 'gone:1')
    t.true(await store.untagImage(ref('gone:1')))
    t.false(await store.untagImage(ref('gone:1')))
    t.is(await store.findImage(ref('gone:1')), undefined)
  })

  contract('an image with a missing layer gets no name', async (store, t) => {
    const manifest = await putText(
      store,
      mediaTypes.manifest,
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: mediaTypes.config, digest: digestOf('absent'), size: 6 },
        layers: [],
      }),
    )
    await t.throwsAsync(store.tagImage(ref('half:1'), manifest), { code: 'BLOB_NOT_FOUND' })
    t.deepEqual(await store.listImages(), [])
  })

  contract('an index may name platforms that are not here', async (store, t) => {
    const here = await putImage(store, 'amd64')
    const index = await putText(
      store,
      mediaTypes.index,
      JSON.stringify({
        schemaVersion: 2,
        manifests: [here, { mediaType: mediaTypes.manifest, digest: digestOf('arm'), size: 3 }],
      }),
    )
    await store.tagImage(ref('multi:1'), index)
    t.is((await store.findImage(ref('multi:1')))?.mediaType, mediaTypes.index)
  })

  contract('a name with a digest is given to no other image', async (store, t) => {
    const descriptor = await putImage(store, 'content')
    await t.throwsAsync(store.tagImage(ref(`app:1@${digestOf('other')}`), descriptor), {
      code: 'CHECKSUM_MISMATCH',
    })
    await store.tagImage(ref(`app:1@${descriptor.digest}`), descriptor)
    t.is((await store.findImage(ref('app:1')))?.digest, descriptor.digest)
  })
}

import { appendFileSync, existsSync, readdirSync } from 'node:fs'
import test from 'ava'
import { digestOf } from '../../src/oci/digest.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { type OpenUpload, uploadFiles } from '../../src/store/upload-files.ts'
import { makeScratch } from '../helpers/scratch.ts'

async function* bytesOf(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

function requireOpen(upload: OpenUpload | 'busy' | undefined): OpenUpload {
  if (upload === undefined || upload === 'busy') throw new Error(`the upload is ${upload}`)
  return upload
}

test('what was appended by several becomes one blob', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.path)
  const id = uploadFiles(scratch.path).create()
  for (const text of ['one ', 'two ', 'three']) {
    // Each knows only what the file has.
    using upload = requireOpen(await uploadFiles(scratch.path).open(id))
    await upload.append(bytesOf(text))
  }
  const digest = digestOf('one two three')
  {
    using upload = requireOpen(await uploadFiles(scratch.path).open(id))
    t.is(upload.received(), 13)
    using batch = store.openBatch()
    t.deepEqual(upload.finish(batch, { digest }), { digest, size: 13 })
    t.false(existsSync(store.blobPath(digest)))
    await batch.commit()
  }
  t.true(existsSync(store.blobPath(digest)))
  t.is(await uploadFiles(scratch.path).open(id), undefined)
  t.deepEqual(readdirSync(scratch.at('ingest')), [])
})

test('one at a time has it', async t => {
  using scratch = makeScratch()
  const files = uploadFiles(scratch.path)
  const id = files.create()
  {
    using _ = requireOpen(await files.open(id))
    t.is(await files.open(id), 'busy')
    t.is(await uploadFiles(scratch.path).open(id), 'busy')
  }
  using upload = requireOpen(await files.open(id))
  t.is(files.count(), 1)
  upload.remove()
  t.is(files.count(), 0)
})

test('what somebody else wrote is hashed, too', async t => {
  using scratch = makeScratch()
  const files = uploadFiles(scratch.path)
  const id = files.create()
  {
    using upload = requireOpen(await files.open(id))
    await upload.append(bytesOf('abc'))
  }
  appendFileSync(scratch.at(`ingest/upload-${id}`), 'def')
  using upload = requireOpen(await files.open(id))
  using batch = diskStore(scratch.path).openBatch()
  t.is(upload.finish(batch, { digest: digestOf('abcdef') }).size, 6)
})

test('a source that breaks leaves what came; other bytes than were named leave nothing', async t => {
  using scratch = makeScratch()
  const files = uploadFiles(scratch.path)
  const id = files.create()
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield* bytesOf('abc')
    throw new Error('gone')
  }
  {
    using upload = requireOpen(await files.open(id))
    await t.throwsAsync(upload.append(breaking()), { message: 'gone' })
    t.is(upload.received(), 3)
  }
  using upload = requireOpen(await files.open(id))
  using batch = diskStore(scratch.path).openBatch()
  t.throws(() => upload.finish(batch, { digest: digestOf('other') }), { code: 'CHECKSUM_MISMATCH' })
  t.is(await files.open(id), undefined)
})

for (const id of ['', '..', '../index.json', 'x'.repeat(36)])
  test(`"${id}" is no upload`, async t => {
    using scratch = makeScratch()
    t.is(await uploadFiles(scratch.path).open(id), undefined)
  })

test('a blob that is lent is whole, whatever its length', async t => {
  using scratch = makeScratch()
  const store = diskStore(scratch.path)
  for (const length of [0, 1, 512 * 1024, 3 * 512 * 1024 + 7]) {
    const bytes = Buffer.alloc(length, 'kauri')
    async function* source(): AsyncGenerator<Uint8Array> {
      yield bytes
    }
    const { digest, size } = await store.putBlob(source())
    const chunks: Buffer[] = []
    const lent = await store.openLent?.({ mediaType: 'x/y', digest, size })
    for await (const chunk of lent ?? []) chunks.push(Buffer.from(chunk))
    t.true(Buffer.concat(chunks).equals(bytes), String(length))
  }
})

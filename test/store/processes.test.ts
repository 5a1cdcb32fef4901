// Several processes at one store: nothing is lost, and what a killed one left is swept.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import { diskStore } from '../../src/store/disk-store.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { chunks } from './small-image.ts'

function start(program: string, ...args: readonly string[]): ChildProcess {
  const file = path.join(import.meta.dirname, 'programs', program)
  return spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

test('sixteen processes that tag at once keep sixteen tags', async t => {
  using scratch = makeScratch()
  const root = scratch.at('oci')
  const names = Array.from({ length: 16 }, (_, index) => `app:${index}`)
  const codes = await Promise.all(
    names.map(async name => (await once(start('tag-image.ts', root, name), 'exit'))[0]),
  )
  t.deepEqual(new Set(codes), new Set([0]))
  const images = await diskStore(root).listImages()
  t.is(images.length, 16)
})

test('a writer that is killed leaves nothing visible, and the next one sweeps its rest', async t => {
  using scratch = makeScratch()
  const root = scratch.at('oci')
  const child = start('write-slowly.ts', root)
  await once(child.stdout ?? child, 'data')
  using batch = diskStore(root).openBatch()
  t.is(readdirSync(path.join(root, 'ingest')).length, 4, 'the living writer is left alone')
  child.kill('SIGKILL')
  await once(child, 'exit')
  await diskStore(root).putBlob(chunks('next'))
  t.is(readdirSync(path.join(root, 'ingest')).length, 2, 'only the batch of this process is there')
  t.is(readdirSync(path.join(root, 'blobs', 'sha256')).length, 1)
  batch[Symbol.dispose]()
})

for (const { title, harm, kept } of [
  { title: 'is kept for the next attempt', harm: false, kept: 'asked for' },
  { title: 'is dropped where its bytes are others by now', harm: true, kept: undefined },
])
  test(`what a killed writer had finished and was asked for by its digest ${title}`, async t => {
    using scratch = makeScratch()
    const root = scratch.at('oci')
    const child = start('write-finished.ts', root)
    await once(child.stdout ?? child, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const hex = hexOf(digestOf('asked for'))
    const ingest = path.join(root, 'ingest')
    const [batch = ''] = readdirSync(ingest).filter(name => !name.endsWith('.lock'))
    if (harm) {
      chmodSync(path.join(ingest, batch, hex), 0o644)
      writeFileSync(path.join(ingest, batch, hex), 'harmed!!!')
    }
    const store = diskStore(root)
    store.openBatch()[Symbol.dispose]()
    t.deepEqual(readdirSync(ingest), [])
    t.deepEqual(readdirSync(path.join(root, 'blobs', 'sha256')), kept === undefined ? [] : [hex])
    t.is((await store.collectGarbage({ graceMs: 3_600_000 })).blobs, 0)
  })

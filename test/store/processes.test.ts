// Several processes at one store: nothing is lost, and what a killed one left is swept.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
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

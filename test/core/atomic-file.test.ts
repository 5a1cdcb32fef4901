import { execFileSync } from 'node:child_process'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { asDiskFull, readTextIfThere, writeFileAtomic } from '../../src/core/atomic-file.ts'

function directory(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), 'kauri-atomic-'))
  t.teardown(() => rmSync(made, { recursive: true }))
  return made
}

test('a file is replaced whole, its directory made, and nothing temporary is left', async t => {
  const file = path.join(directory(t), 'a/b/file')
  await writeFileAtomic(file, 'one')
  await writeFileAtomic(file, new Uint8Array([50]))
  t.is(readFileSync(file, 'utf8'), '2')
  t.deepEqual(readdirSync(path.dirname(file)), ['file'])
})

test('the mode is as asked for', async t => {
  const file = path.join(directory(t), 'secret')
  await writeFileAtomic(file, 'x', 0o600)
  t.is(statSync(file).mode & 0o777, 0o600)
})

test('a write that fails leaves the old file and nothing temporary', async t => {
  const parent = directory(t)
  const target = path.join(parent, 'target')
  mkdirSync(target)
  writeFileSync(path.join(target, 'old'), '')
  await t.throwsAsync(writeFileAtomic(target, 'x'), { code: 'EISDIR' })
  t.deepEqual(readdirSync(parent), ['target'])
})

test('a pipe, or what a link to one leads to, is written into and stays', async t => {
  const parent = directory(t)
  const pipe = path.join(parent, 'pipe')
  execFileSync('mkfifo', [pipe])
  symlinkSync('pipe', path.join(parent, 'link'))
  for (const name of ['pipe', 'link']) {
    const reading = readFile(pipe, 'utf8')
    await writeFileAtomic(path.join(parent, name), name)
    t.is(await reading, name)
  }
  t.true(lstatSync(pipe).isFIFO())
  t.deepEqual(readdirSync(parent), ['link', 'pipe'])
})

test('a text that is not there is undefined, other failures are thrown', async t => {
  const parent = directory(t)
  writeFileSync(path.join(parent, 'file'), 'text')
  t.is(await readTextIfThere(path.join(parent, 'file')), 'text')
  t.is(await readTextIfThere(path.join(parent, 'none')), undefined)
  t.is(await readTextIfThere(path.join(parent, 'file/below')), undefined)
  await t.throwsAsync(readTextIfThere(parent), { code: 'EISDIR' })
})

test('a full disk is told with the place; other errors pass', t => {
  const full = asDiskFull(Object.assign(new Error('x'), { code: 'ENOSPC' }), '/state/blob')
  t.like(full, { code: 'DISK_FULL', message: 'no space left while writing /state/blob' })
  const other = new Error('x')
  t.is(asDiskFull(other, '/state'), other)
})

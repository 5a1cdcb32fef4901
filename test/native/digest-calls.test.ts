import { createHash, randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import test from 'ava'
import { native, type Sha256 } from '../../src/native/native.ts'
import { makeScratch } from '../helpers/scratch.ts'

const hexOf = (...parts: readonly Uint8Array[]): string =>
  createHash('sha256').update(Buffer.concat(parts)).digest('hex')

test('bytes are hashed over several calls, and written where they are told to', async t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('file'), 'wx')
  const parts = [1, 32 * 1024, 0, 32 * 1024 + 1, 500_000].map(size => randomBytes(size))
  const state = native().openSha256()
  let position = 0
  for (const part of parts) {
    await native().absorb(state, part, fd, position)
    position += part.length
  }
  closeSync(fd)
  t.is(native().sha256Hex(state), hexOf(...parts))
  t.deepEqual(readFileSync(scratch.at('file')), Buffer.concat(parts))
})

test('without a file bytes are only hashed', async t => {
  const state = native().openSha256()
  await native().absorb(state, Buffer.from('text'), -1, 0)
  t.is(native().sha256Hex(state), hexOf(Buffer.from('text')))
})

test('a write that fails rejects with the system’s error', async t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('file'), 'w')
  closeSync(fd)
  const readOnly = openSync(scratch.at('file'), 'r')
  const state = native().openSha256()
  await t.throwsAsync(native().absorb(state, Buffer.from('x'), readOnly, 0), { code: 'EBADF' })
  closeSync(readOnly)
  const full = openSync('/dev/full', 'w')
  const other = native().openSha256()
  await t.throwsAsync(native().absorb(other, Buffer.from('x'), full, 0), { code: 'ENOSPC' })
  closeSync(full)
})

test('a state is used by one call at a time, and not after its end', async t => {
  const state = native().openSha256()
  const first = native().absorb(state, Buffer.alloc(1_000_000), -1, 0)
  t.throws(() => native().sha256Hex(state), { code: 'EBUSY' })
  await first
  native().sha256Hex(state)
  t.throws(() => native().sha256Hex(state), { code: 'EBUSY' })
  await t.throwsAsync(async () => native().absorb(state, Buffer.from('x'), -1, 0), {
    code: 'EBUSY',
  })
})

test('what is no state, no bytes or no descriptor is refused', async t => {
  const call = native()
  const strange = {} as Sha256
  t.throws(() => call.sha256Hex(strange), { code: 'ERR_INVALID_ARG_TYPE' })
  const state = call.openSha256()
  t.throws(() => void call.absorb(state, 'text' as unknown as Uint8Array, -1, 0), {
    code: 'ERR_INVALID_ARG_TYPE',
  })
  t.throws(() => void call.absorb(state, Buffer.from('x'), -2, 0), { code: 'EINVAL' })
  t.throws(() => void call.absorb(state, Buffer.from('x'), 0, -1), { code: 'EINVAL' })
})

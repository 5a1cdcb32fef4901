import { createHash, randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync } from 'node:fs'
import test from 'ava'
import { pieceBytes, writePieces } from '../../src/store/write-pieces.ts'
import { makeScratch } from '../helpers/scratch.ts'

const rethrow = (error: unknown): never => {
  throw error
}

async function* chunksOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

const lengths: readonly (readonly number[])[] = [
  [],
  [0, 1, 0],
  [pieceBytes],
  [pieceBytes - 1, 1, 1],
  Array.from({ length: 300 }, (_, index) => 1000 + index),
  [10, 200 * 1024, 10, 2 * pieceBytes + 3, 5],
]

for (const list of lengths)
  test(`chunks of ${list.slice(0, 5).join(', ') || 'nothing'} are written and hashed`, async t => {
    using scratch = makeScratch()
    const fd = openSync(scratch.at('file'), 'wx')
    const chunks = list.map(length => randomBytes(length))
    const all = Buffer.concat(chunks)
    const stored = await writePieces(chunksOf(chunks), fd, { rethrow })
    closeSync(fd)
    t.is(stored.size, all.length)
    t.is(String(stored.digest), `sha256:${createHash('sha256').update(all).digest('hex')}`)
    t.true(readFileSync(scratch.at('file')).equals(all))
  })

test('a chunk may change when the next one is asked for', async t => {
  using scratch = makeScratch()
  const fd = openSync(scratch.at('file'), 'wx')
  async function* lent(): AsyncGenerator<Uint8Array> {
    const buffer = Buffer.alloc(300 * 1024)
    for (let turn = 0; turn < 8; turn++) yield buffer.fill(turn)
  }
  await writePieces(lent(), fd, { rethrow })
  closeSync(fd)
  const written = readFileSync(scratch.at('file'))
  for (let turn = 0; turn < 8; turn++)
    t.true(
      written.subarray(turn * 300 * 1024, (turn + 1) * 300 * 1024).every(byte => byte === turn),
    )
})

test('a failure of the disk is the caller’s error, and one of the source its own', async t => {
  const full = openSync('/dev/full', 'w')
  const asTold = (): never => {
    throw new Error('as told')
  }
  const chunks = Array.from({ length: 5 }, () => Buffer.alloc(pieceBytes))
  await t.throwsAsync(writePieces(chunksOf(chunks), full, { rethrow: asTold }), {
    message: 'as told',
  })
  async function* breaking(): AsyncGenerator<Uint8Array> {
    yield Buffer.alloc(10)
    throw new Error('the source broke')
  }
  await t.throwsAsync(writePieces(breaking(), full, { rethrow }), { message: 'the source broke' })
  closeSync(full)
})

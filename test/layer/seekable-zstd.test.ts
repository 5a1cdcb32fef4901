// zstd layers have a seek table that every decoder skips, and any part of them can be read alone.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import test from 'ava'
import { compress } from '../../src/layer/compression.ts'
import { decompress } from '../../src/layer/decompress.ts'
import { openSeekableZstd } from '../../src/layer/seekable-zstd.ts'
import { formatSeekTable, readSeekTable } from '../../src/layer/zstd-seek-table.ts'
import { testWith } from '../helpers/needs.ts'
import { collect, inPieces } from '../helpers/tar.ts'

/** Bytes that pack to half. */
const sample = Buffer.from(
  Array.from({ length: 90_000 }, (_, i) => createHash('sha256').update(`${i}`).digest('hex')).join(
    '',
  ),
)

const packedSample = collect(compress(inPieces(sample), { codec: 'zstd' }))

/** The packed bytes, and how many of them were read. */
function counted(packed: Buffer): {
  readonly read: (offset: number, length: number) => Promise<Buffer>
  readonly seen: () => number
} {
  let seen = 0
  return {
    read: async (offset, length) => {
      seen += length
      return Buffer.from(packed.subarray(offset, offset + length))
    },
    seen: () => seen,
  }
}

async function openSample(
  packed: Buffer,
): Promise<NonNullable<Awaited<ReturnType<typeof openSeekableZstd>>>> {
  const opened = await openSeekableZstd(counted(packed).read, packed.length)
  if (opened === undefined) throw new Error('no seek table')
  return opened
}

test('data with a seek table is unpacked as ever', async t => {
  const packed = await packedSample
  t.true(zstdDecompressSync(packed).equals(sample))
  t.true((await collect((await decompress(inPieces(packed))).bytes)).equals(sample))
})

testWith({ programs: ['zstd'] })('the program zstd unpacks and tests it', async t => {
  const input = await packedSample
  t.true(execFileSync('zstd', ['-dc'], { input, maxBuffer: 1e8 }).equals(sample))
  t.notThrows(() => execFileSync('zstd', ['-tq'], { input }))
})

test('the table names every frame, and equal bytes give an equal one', async t => {
  const packed = await packedSample
  const frames = await readSeekTable(counted(packed).read, packed.length)
  t.deepEqual(
    frames?.map(({ bytes }) => bytes),
    [...Array<number>(5).fill(1024 * 1024), sample.length - 5 * 1024 * 1024],
  )
  const again = await collect(compress(inPieces(sample, 10_007), { codec: 'zstd' }))
  t.true(again.equals(packed))
})

test('the table has the form that others write', t => {
  const table = formatSeekTable([{ packedBytes: 5, bytes: 256 }])
  t.is(table.toString('hex'), '5e2a4d181100000005000000000100000100000000b1ea928f')
})

test('nothing packed is one empty frame and its table', async t => {
  const packed = await collect(compress(inPieces(Buffer.alloc(0)), { codec: 'zstd' }))
  const opened = await openSample(packed)
  t.is(opened.bytes, 0)
  t.is((await opened.read(0, 0)).length, 0)
})

for (const [offset, length] of [
  [0, 10],
  [1024 * 1024 - 5, 10],
  [3 * 1024 * 1024, 1024 * 1024],
  [1_000_000, 3_000_000],
  [sample.length - 1, 1],
  [sample.length, 0],
  [0, sample.length],
] as const)
  test(`${length} bytes at ${offset} are read alone`, async t => {
    const opened = await openSample(await packedSample)
    t.true((await opened.read(offset, length)).equals(sample.subarray(offset, offset + length)))
  })

test('a part is read without what is before it', async t => {
  const packed = await packedSample
  const source = counted(packed)
  const opened = await openSeekableZstd(source.read, packed.length)
  await opened?.read(4 * 1024 * 1024 + 7, 100)
  t.true(source.seen() < packed.length / 4, `${source.seen()} of ${packed.length} bytes`)
})

test('a part beyond the end is refused', async t => {
  const opened = await openSample(await packedSample)
  await t.throwsAsync(opened.read(sample.length, 1), { instanceOf: RangeError })
  await t.throwsAsync(opened.read(-1, 1), { instanceOf: RangeError })
})

test('data without a table cannot be sought', async t => {
  for (const packed of [zstdCompressSync(sample), Buffer.alloc(3), Buffer.alloc(100)])
    t.is(await openSeekableZstd(counted(packed).read, packed.length), undefined)
})

test('a table that lies is found out', async t => {
  const packed = await packedSample
  const lies: readonly ((table: Buffer) => void)[] = [
    // fewer frames, a reserved bit, more frames than bytes, another length of the frame around it
    table => table.writeUInt32LE(5, table.length - 9),
    table => table.writeUInt8(0x04, table.length - 5),
    table => table.writeUInt32LE(0xffffffff, table.length - 9),
    table => table.writeUInt32LE(3, table.length - 8 * 6 - 9 - 4),
    // a frame's packed size
    table => table.writeUInt32LE(1, table.length - 17),
  ]
  for (const lie of lies) {
    const changed = Buffer.from(packed)
    lie(changed)
    await t.throwsAsync(openSeekableZstd(counted(changed).read, changed.length), {
      code: 'ARCHIVE_INVALID',
    })
  }
  for (const bytes of [10, 1024 * 1024 + 1, 0xffffffff]) {
    const changed = Buffer.from(packed)
    changed.writeUInt32LE(bytes, changed.length - 9 - 8 * 6 + 4)
    const opened = await openSample(changed)
    await t.throwsAsync(opened.read(0, 10), {
      code: 'ARCHIVE_INVALID',
    })
  }
})

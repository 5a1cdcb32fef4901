// The length of a layer's tar without unpacking it, where its packed bytes tell.

import { writeFileSync } from 'node:fs'
import test from 'ava'
import { toldTarLength } from '../../src/image/told-tar-length.ts'
import { compress } from '../../src/layer/compression.ts'
import { formatSeekTable } from '../../src/layer/zstd-seek-table.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { collect, inPieces, tarOf } from '../helpers/tar.ts'

const tar = tarOf({ name: 'large', body: Buffer.alloc(2_500_000, 'x') })

async function toldOf(packed: Buffer, size: number = packed.length): Promise<number | undefined> {
  using scratch = makeScratch()
  writeFileSync(scratch.at('blob'), packed)
  return await toldTarLength(scratch.at('blob'), { size })
}

const packedTar = (codec: 'zstd' | 'gzip' | 'none', bytes: Buffer = tar): Promise<Buffer> =>
  collect(compress(inPieces(bytes), { codec }))

test('a zstd layer tells the length of its tar', async t => {
  t.is(await toldOf(await packedTar('zstd')), tar.length)
})

test('gzip and plain layers tell nothing', async t => {
  for (const codec of ['gzip', 'none'] as const)
    t.is(await toldOf(await packedTar(codec)), undefined)
})

test('what does not end like a tar tells nothing', async t => {
  for (const bytes of [tar.subarray(0, -1), Buffer.alloc(4096, 'x'), Buffer.alloc(512)])
    t.is(await toldOf(await packedTar('zstd', bytes)), undefined)
})

test('a broken table, a blob that is cut short, and none at all tell nothing', async t => {
  const packed = await packedTar('zstd')
  const lying = Buffer.concat([packed, formatSeekTable([{ packedBytes: 1, bytes: 1024 }])])
  t.is(await toldOf(lying), undefined)
  t.is(await toldOf(packed.subarray(0, -1), packed.length), undefined)
  t.is(await toldTarLength('/nowhere/blob', { size: 100 }), undefined)
})

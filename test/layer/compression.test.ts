import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import test from 'ava'
import { compress } from '../../src/layer/compression.ts'
import type { LayerCompression } from '../../src/layer/layer.ts'
import { testWith } from '../helpers/needs.ts'
import { collect, inPieces } from '../helpers/tar.ts'

/** Bytes that pack to about a third, the same in every run. */
function sampleBytes(size: number): Buffer {
  const words = Array.from({ length: 500 }, (_, i) =>
    createHash('sha256')
      .update(`${i}`)
      .digest('base64')
      .slice(0, 3 + (i % 9)),
  )
  const parts: string[] = []
  let length = 0
  for (let i = 0; length < size; i++) {
    const word = `${words[(i * i + 7 * i) % words.length]} ${i} `
    parts.push(word)
    length += word.length
  }
  return Buffer.from(parts.join('')).subarray(0, size)
}

const sample = sampleBytes(3_700_000)

const unpackers: Readonly<Record<LayerCompression['codec'], (packed: Buffer) => Buffer>> = {
  none: packed => packed,
  gzip: packed => gunzipSync(packed),
  zstd: packed => zstdDecompressSync(packed),
  'zstd-codec': packed => zstdDecompressSync(packed),
}

const codecs = ['none', 'gzip', 'zstd', 'zstd-codec'] as const

for (const codec of codecs) {
  test(`${codec}: bytes come back, and do not depend on how they were cut`, async t => {
    const packed = await collect(compress(inPieces(sample), { codec }))
    t.true(unpackers[codec](packed).equals(sample))
    t.true((await collect(compress(inPieces(sample, 999_983), { codec }))).equals(packed))
    t.true((await collect(compress(inPieces(sample, sample.length), { codec }))).equals(packed))
    if (codec !== 'none') t.true(packed.length < sample.length / 2)
  })

  test(`${codec}: what cannot be packed, and nothing at all, come back`, async t => {
    const noise = randomBytes(1_500_000)
    const packed = await collect(compress(inPieces(noise), { codec }))
    t.true(unpackers[codec](packed).equals(noise))
    const empty = await collect(compress(inPieces(Buffer.alloc(0)), { codec }))
    t.is(unpackers[codec](empty).length, 0)
  })

  test(`${codec}: a source may use its chunk again`, async t => {
    async function* source(): AsyncGenerator<Buffer> {
      const chunk = Buffer.alloc(300_000)
      for (let at = 0; at < sample.length; at += chunk.length) {
        const size = sample.copy(chunk, 0, at, at + chunk.length)
        yield chunk.subarray(0, size)
        chunk.fill(0xee)
      }
    }
    t.true(unpackers[codec](await collect(compress(source(), { codec }))).equals(sample))
  })

  test(`${codec}: an error of the source passes`, async t => {
    async function* source(): AsyncGenerator<Buffer> {
      yield sample
      throw new RangeError('broken pipe')
    }
    await t.throwsAsync(collect(compress(source(), { codec })), { instanceOf: RangeError })
  })

  test(`${codec}: an abort ends it`, async t => {
    const controller = new AbortController()
    const packed = compress(inPieces(sample, 1000), { codec }, controller.signal)
    controller.abort()
    await t.throwsAsync(collect(packed), { code: 'CANCELLED' })
  })
}

const levels = [
  { codec: 'gzip', level: 1 },
  { codec: 'gzip', level: 9 },
  { codec: 'zstd', level: 1 },
  { codec: 'zstd', level: 19 },
  { codec: 'zstd-codec', level: 1 },
] as const

for (const compression of levels)
  test(`${compression.codec} has level ${compression.level}`, async t => {
    const small = sample.subarray(0, 600_000)
    const packed = await collect(compress(inPieces(small), compression))
    t.true(unpackers[compression.codec](packed).equals(small))
  })

const noLevels = [
  { codec: 'gzip', level: 0 },
  { codec: 'gzip', level: 10 },
  { codec: 'zstd', level: 20 },
  { codec: 'zstd', level: 2.5 },
  { codec: 'zstd-codec', level: -1 },
  { codec: 'none', level: 1 },
] as const

for (const compression of noLevels)
  test(`${compression.codec} has no level ${compression.level}`, t => {
    t.throws(() => compress(inPieces(sample), compression), { code: 'USAGE' })
  })

test('zstd-codec gives the bytes that it always gave', async t => {
  const packed = await collect(compress(inPieces(sampleBytes(1_200_000)), { codec: 'zstd-codec' }))
  t.is(
    createHash('sha256').update(packed).digest('hex'),
    'f9d1f393312b60393f3139291693fd5eda1cafc699b5fc3e78a415a7739570a2',
  )
})

test('zstd-codec leaves the process its own handlers of errors', async t => {
  const count = (): number =>
    process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection')
  const before = count()
  await collect(compress(inPieces(Buffer.from('x')), { codec: 'zstd-codec' }))
  t.is(count(), before)
})

test('the source is read only as fast as its packed bytes are taken', async t => {
  let given = 0
  async function* source(): AsyncGenerator<Buffer> {
    for (;;) {
      given++
      yield sample.subarray(0, 1024 * 1024)
    }
  }
  const packed = compress(source(), { codec: 'zstd' })[Symbol.asyncIterator]()
  await packed.next()
  await sleep(50)
  t.true(given <= 6, `${given} chunks were taken before anybody asked`)
  await packed.return?.()
})

testWith({ programs: ['gzip', 'zstd'] })('gzip and zstd take what kauri packs', async t => {
  const gzip = await collect(compress(inPieces(sample), { codec: 'gzip' }))
  t.true(execFileSync('gzip', ['-dc'], { input: gzip, maxBuffer: 1e8 }).equals(sample))
  const zstd = await collect(compress(inPieces(sample), { codec: 'zstd' }))
  t.true(execFileSync('zstd', ['-dcq'], { input: zstd, maxBuffer: 1e8 }).equals(sample))
  const old = await collect(compress(inPieces(sample), { codec: 'zstd-codec' }))
  t.true(execFileSync('zstd', ['-dcq'], { input: old, maxBuffer: 1e8 }).equals(sample))
})

test('gzip blocks know what stands before them: hardly larger than one stream', async t => {
  const packed = await collect(compress(inPieces(sample), { codec: 'gzip' }))
  const { gzipSync } = await import('node:zlib')
  t.true(packed.length < gzipSync(sample).length * 1.02)
})

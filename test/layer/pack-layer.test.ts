import { mkdirSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { packLayer } from '../../src/layer/pack-layer.ts'
import { packTree } from '../../src/layer/pack-tree.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { collect, inPieces } from '../helpers/tar.ts'

interface Kept {
  bytes: Buffer
  readonly sink: (packed: AsyncIterable<Uint8Array>) => Promise<{ digest: Digest; size: number }>
}

function keep(): Kept {
  const kept: Kept = {
    bytes: Buffer.alloc(0),
    sink: async packed => {
      kept.bytes = await collect(packed)
      return { digest: digestOf(kept.bytes), size: kept.bytes.length }
    },
  }
  return kept
}

const tar = Buffer.alloc(2_500_000, 'a layer ')

for (const codec of ['none', 'gzip', 'zstd', 'zstd-codec'] as const)
  test(`both names and both sizes of a layer: ${codec}`, async t => {
    const kept = keep()
    const layer = await packLayer(inPieces(tar), { compression: { codec }, sink: kept.sink })
    t.deepEqual(layer, {
      diffId: digestOf(tar) as typeof layer.diffId,
      digest: digestOf(kept.bytes),
      tarBytes: tar.length,
      packedBytes: kept.bytes.length,
      compression: codec === 'zstd-codec' ? 'zstd' : codec,
    })
  })

test('the tee gets every byte of the tar and is waited for', async t => {
  const seen: Buffer[] = []
  let busy = 0
  let mostBusy = 0
  await packLayer(inPieces(tar, 300_000), {
    compression: { codec: 'zstd' },
    sink: keep().sink,
    tee: async chunk => {
      mostBusy = Math.max(mostBusy, ++busy)
      await sleep(1)
      seen.push(Buffer.from(chunk))
      busy--
    },
  })
  t.true(Buffer.concat(seen).equals(tar))
  t.is(mostBusy, 1)
})

test('a failure of the tee, the source or the sink is the failure of all', async t => {
  const compression = { codec: 'zstd' } as const
  const failure = new RangeError('no')
  const throwing = (): never => {
    throw failure
  }
  await t.throwsAsync(packLayer(inPieces(tar), { compression, sink: keep().sink, tee: throwing }), {
    is: failure,
  })
  await t.throwsAsync(packLayer(inPieces(tar), { compression, sink: async () => throwing() }), {
    is: failure,
  })
  async function* source(): AsyncGenerator<Buffer> {
    yield tar
    throwing()
  }
  await t.throwsAsync(packLayer(source(), { compression, sink: keep().sink }), { is: failure })
})

test('a sink that stops early is noticed', async t => {
  const sink = async (
    packed: AsyncIterable<Uint8Array>,
  ): Promise<{ digest: Digest; size: number }> => {
    for await (const chunk of packed) return { digest: digestOf(chunk), size: chunk.length }
    return { digest: digestOf(''), size: 0 }
  }
  await t.throwsAsync(packLayer(inPieces(tar, 1000), { compression: { codec: 'none' }, sink }), {
    code: 'INTERNAL',
  })
})

test('the same tree gives the same layer, with chunks used again or not', async t => {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree'))
  for (let i = 0; i < 30; i++)
    writeFileSync(scratch.at('tree', `${i}`), Buffer.alloc(i * 20_000, `${i}`))
  const layers = []
  for (const reuseChunks of [true, false]) {
    const source = packTree(
      { kind: 'tree', path: scratch.at('tree') },
      { clampMtime: 0, reuseChunks },
    )
    layers.push(await packLayer(source, { compression: { codec: 'none' }, sink: keep().sink }))
  }
  t.deepEqual(layers[0], layers[1])
  t.is(layers[0]?.digest, layers[0]?.diffId)
})

// A store of 10,000 images and 100,000 blobs: what commands take there that people wait for.

import { makeBigStore } from '../big-store.ts'
import type { Bench } from '../context.ts'
import { median, runCommand } from '../measure.ts'
import type { Line, Row } from '../table.ts'

const size = { images: 10_000, blobsOfEach: 10 } as const
const rounds = 5
const work = '10,000 images, 100,000 blobs'

interface Measured {
  readonly what: string
  readonly args: readonly string[]
  /** Made before each round; not measured. */
  readonly before?: readonly string[]
  readonly limit?: { readonly unit: 'ms' | 's'; readonly atMost: number }
}

const measured: readonly Measured[] = [
  { what: '`images`', args: ['images'], limit: { unit: 'ms', atMost: 300 } },
  { what: '`tag`', args: ['tag', 'bench/app-77:1', 'other:1'], limit: { unit: 'ms', atMost: 100 } },
  { what: '`inspect`', args: ['inspect', 'bench/app-4711:1'] },
  {
    what: '`rmi` of a name',
    before: ['tag', 'bench/app-77:1', 'other:1'],
    args: ['rmi', 'other:1'],
  },
  { what: '`gc`', args: ['gc'], limit: { unit: 's', atMost: 10 } },
  { what: '`df`', args: ['df'] },
]

export const row: Row = {
  summary: 'commands in a store of 10,000 images',
  measure: async bench => {
    const state = await bench.directory('big-store')
    bench.say('   making the store')
    makeBigStore(`${state}/data`, size)
    const lines: Line[] = []
    for (const each of measured) lines.push(await measureOne(bench, `${state}/data`, each))
    return lines
  },
}

/** One round of warm-up: the first list of images notes what it has read. */
async function measureOne(
  bench: Bench,
  state: string,
  { what, args, before, limit }: Measured,
): Promise<Line> {
  const times: number[] = []
  for (let round = 0; round <= rounds; round++) {
    if (before !== undefined) await runCommand(bench.kauri(before, state), bench.signal)
    const { seconds } = await runCommand(bench.kauri(args, state), bench.signal)
    if (round > 0) times.push(seconds)
  }
  const { unit, atMost } = limit ?? { unit: 'ms', atMost: undefined }
  const seconds = median(times)
  return { work: `${what}, ${work}`, unit, kauri: unit === 'ms' ? seconds * 1000 : seconds, atMost }
}

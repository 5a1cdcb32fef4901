// Peak memory of imports: it must not grow with the archive.

import { randomFillSync } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Bench } from '../context.ts'
import { runCommand } from '../measure.ts'
import type { Line, Row } from '../table.ts'

const largeBytes = 2_000_000_000
const limitMB = 150

export const row: Row = {
  summary: 'peak memory of kauri during imports',
  measure: async bench => {
    const lines: Line[] = []
    for (const archive of [await bench.rootArchive(), await largeArchive(bench)]) {
      const sizeMB = Math.round((await stat(archive)).size / 1e6)
      const state = await bench.directory('memory')
      const image = 'bench/memory:1'
      const { peakBytes } = await runCommand(
        bench.kauri(['import', archive, image], state),
        bench.signal,
      )
      lines.push({
        work: `peak memory, import ${sizeMB} MB`,
        unit: 'MB',
        kauri: peakBytes / 1e6,
        atMost: limitMB,
      })
    }
    return lines
  },
}

/** A tar of one file that does not compress. */
async function largeArchive(bench: Bench): Promise<string> {
  const directory = await bench.directory('large')
  const chunk = randomFillSync(Buffer.alloc(1_000_000))
  const chunks = function* (): Generator<Buffer> {
    for (let index = 0; index < largeBytes / chunk.length; index++) {
      chunk.writeUInt32LE(index)
      yield Buffer.from(chunk)
    }
  }
  await pipeline(Readable.from(chunks()), createWriteStream(path.join(directory, 'file')), {
    signal: bench.signal,
  })
  const archive = path.join(directory, 'large.tar')
  const create = ['tar', '--create', '--file', archive, '--directory', directory, 'file']
  await runCommand({ argv: create, env: {} }, bench.signal)
  return archive
}

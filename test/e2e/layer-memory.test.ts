// A layer of 2 GB passes through packing, hashing, compression and unpacking in as little memory as a small one.

import { spawnSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'
import { makeScratch } from '../helpers/scratch.ts'

const source = path.join(import.meta.dirname, '../../src')

/** What a program of the layer modules prints: bytes of the tar, and the most memory that it ever had, in MiB. */
function measure(body: string): { tarBytes: number; peakMib: number } {
  using scratch = makeScratch()
  mkdirSync(scratch.at('tree', 'root'), { recursive: true })
  writeFileSync(scratch.at('tree', 'root', 'zeros'), '')
  truncateSync(scratch.at('tree', 'root', 'zeros'), 2 * 1024 ** 3)
  const script = `
    import { openSync } from 'node:fs'
    import { packTree } from '${source}/layer/pack-tree.ts'
    import { packLayer } from '${source}/layer/pack-layer.ts'
    import { compress } from '${source}/layer/compression.ts'
    import { decompress } from '${source}/layer/decompress.ts'
    import { applyTar } from '${source}/layer/apply-tar.ts'
    import { digestOf } from '${source}/oci/digest.ts'
    const tar = () => packTree({ kind: 'tree', path: '${scratch.at('tree')}' }, { reuseChunks: true })
    let tarBytes = 0
    ${body}
    console.log(JSON.stringify({ tarBytes, peakMib: process.resourceUsage().maxRSS / 1024 }))`
  writeFileSync(scratch.at('script.mts'), script)
  const { stdout, stderr } = spawnSync(process.execPath, [scratch.at('script.mts')], {
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as { tarBytes: number; peakMib: number }
}

/** Node with its type stripper is 90 of these by itself. */
const limitMib = 220

test('packing 2 GB keeps to its memory', t => {
  const { tarBytes, peakMib } = measure(`
    const sink = async packed => {
      let size = 0
      for await (const chunk of packed) size += chunk.length
      return { digest: digestOf(''), size }
    }
    const layer = await packLayer(tar(), { compression: { codec: 'zstd' }, sink })
    tarBytes = layer.tarBytes`)
  t.true(tarBytes > 2 * 1024 ** 3)
  t.true(peakMib < limitMib, `${peakMib} MiB`)
})

test('unpacking 2 GB keeps to its memory', t => {
  const { tarBytes, peakMib } = measure(`
    const { bytes } = await decompress(compress(tar(), { codec: 'gzip', level: 1 }))
    const root = openSync('/', 0o10000000)
    const rename = entry => { tarBytes += entry.size; return undefined }
    await applyTar(bytes, root, { whiteouts: 'ordinary', ownership: 'archive', rename })`)
  t.is(tarBytes, 2 * 1024 ** 3)
  t.true(peakMib < limitMib, `${peakMib} MiB`)
})

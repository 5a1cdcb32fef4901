// Buffers that nobody needs go while work streams, not when the heap is full.

import { spawnSync } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import test from 'ava'

const source = path.join(import.meta.dirname, '../../src/core/young-garbage.ts')

/** Most bytes of buffers that a loop over 512 MiB of them had at once. */
function mostBytes(call: string): number {
  const program = `
    import { passedBy } from '${source}'
    let most = 0
    for (let i = 0; i < 8192; i++) {
      Buffer.allocUnsafeSlow(64 * 1024)
      ${call}
      most = Math.max(most, process.memoryUsage().arrayBuffers)
    }
    console.log(most)`
  const args = ['--min-semi-space-size=16', '--input-type=module', '-e', program]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (stdout === '') throw new Error(stderr)
  return Number(stdout)
}

test('buffers that passed by do not gather', t => {
  const most = mostBytes('passedBy(64 * 1024)')
  t.true(most < 50 * 1024 * 1024, `${most} bytes`)
})

test('without a word they do', t => {
  const most = mostBytes('')
  t.true(most > 50 * 1024 * 1024, `${most} bytes`)
})

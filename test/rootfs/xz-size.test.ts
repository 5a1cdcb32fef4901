import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import test from 'ava'
import { xzTailBytes, xzUnpackedBytes } from '../../src/rootfs/xz-size.ts'
import { testWith } from '../helpers/needs.ts'

const withXz = testWith({ programs: ['xz'] })

function xz(content: Buffer, ...options: string[]): Buffer {
  return execFileSync('xz', ['-c', ...options], { input: content, maxBuffer: 1 << 28 })
}

function sizeOf(file: Buffer): number | undefined {
  return xzUnpackedBytes(file.subarray(-xzTailBytes), file.length)
}

withXz('one stream says its size, with one block or many', t => {
  for (const length of [0, 1, 127, 128, 300_000]) t.is(sizeOf(xz(randomBytes(length))), length)
  t.is(sizeOf(xz(Buffer.alloc(1_000_000), '--block-size=4096')), 1_000_000)
})

withXz('two streams, padding, and damage are not taken for one', t => {
  const one = xz(randomBytes(1000))
  t.is(sizeOf(Buffer.concat([one, one])), undefined)
  t.is(sizeOf(Buffer.concat([one, Buffer.alloc(4)])), undefined)
  t.is(sizeOf(one.subarray(0, -1)), undefined)
  t.is(sizeOf(one.subarray(4)), undefined)
})

test('anything else has no size', t => {
  t.is(sizeOf(Buffer.alloc(0)), undefined)
  t.is(sizeOf(Buffer.from('YZ')), undefined)
  t.is(sizeOf(Buffer.concat([Buffer.alloc(40, 0xff), Buffer.from('YZ')])), undefined)
  for (let round = 0; round < 200; round++)
    t.notThrows(() =>
      sizeOf(Buffer.concat([randomBytes(60), Buffer.from([0, 0, 0, 0, 0, 4]), Buffer.from('YZ')])),
    )
})

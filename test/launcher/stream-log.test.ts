// The log writer under the address and undefined behaviour sanitizers, with text and with bytes that are none.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { testWith } from '../helpers/needs.ts'
import { makeScratch } from '../helpers/scratch.ts'

const test = testWith({ programs: ['cc'] })

const launcher = path.join(import.meta.dirname, '..', '..', 'src', 'launcher')

function compileWriter(target: string): void {
  const sources = ['stream-log.c', 'json-line.c', 'report.c'].map(name => path.join(launcher, name))
  const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']
  const own = path.join(import.meta.dirname, 'write-log.c')
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O1', '-g', ...sanitizers]
  execFileSync('cc', [...flags, `-I${launcher}`, own, ...sources, '-o', target])
}

/** Bytes that are the same in each run: lines, long lines, UTF-8, and what is none. */
function someBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 12_345
  const next = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return state >> 8
  }
  const texts = ['plain text', 'ünïcödé €', '😀\u2028', '"\\<>&\t\r', '\n', '\n', '\xff']
  for (let at = 0; at < length; ) {
    const text = Buffer.from(
      texts[next() % texts.length] ?? '',
      next() % 9 === 0 ? 'latin1' : 'utf8',
    )
    at += text.copy(bytes, at)
    if (next() % 997 === 0) at += Buffer.alloc(40_000, 'é').copy(bytes, at)
  }
  return bytes
}

test('every entry of a log is JSON, and together they are what was written', t => {
  using scratch = makeScratch()
  compileWriter(scratch.at('write'))
  const input = someBytes(1 << 20)
  for (const seed of [1, 2, 3]) {
    const file = scratch.at(`json-${seed}`)
    execFileSync(scratch.at('write'), ['1', file, '0', String(seed)], { input })
    const entries = readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as { log: string; stream: string })
    t.true(entries.length > 1000)
    t.true(entries.every(({ log }) => Buffer.byteLength(log) <= 3 * 16_384 + 1))
    const logged = entries.reduce(
      (sum, { log }) => sum + Buffer.byteLength(log.replaceAll('\ufffd', '?')),
      0,
    )
    // One character stands for each byte that is no UTF-8, and for those of characters that a piece of input cut.
    t.true(logged <= input.length && logged > input.length * 0.9)
  }
})

test('records of the short form hold every byte', t => {
  using scratch = makeScratch()
  compileWriter(scratch.at('write'))
  const input = someBytes(1 << 20)
  execFileSync(scratch.at('write'), ['2', scratch.at('local'), '0', '7'], { input })
  const bytes = readFileSync(scratch.at('local'))
  let text = 0
  let breaks = 0
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    t.true(length <= 16_384)
    text += length
    breaks += bytes.readUInt8(at + 5) === 0 ? 1 : 0
    at += 16 + length
  }
  t.is(text + breaks, input.length)
})

test('with a limit the older entries are in another file', t => {
  using scratch = makeScratch()
  compileWriter(scratch.at('write'))
  const input = someBytes(1 << 20)
  execFileSync(scratch.at('write'), ['1', scratch.at('log'), '100000', '5'], { input })
  t.true(readFileSync(scratch.at('log.1')).length >= 100_000)
})

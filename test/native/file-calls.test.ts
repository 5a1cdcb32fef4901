// Whole files in one call: read into memory, or copied with owner, mode and times.

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import process from 'node:process'
import test from 'ava'
import { copyFields, copyWidth, native } from '../../src/native/native.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'

function withDirectories(work: (from: number, into: number, scratch: Scratch) => void): void {
  using scratch = makeScratch()
  mkdirSync(scratch.at('from'))
  mkdirSync(scratch.at('into'))
  const from = openSync(scratch.at('from'), constants.O_DIRECTORY)
  const into = openSync(scratch.at('into'), constants.O_DIRECTORY)
  try {
    work(from, into, scratch)
  } finally {
    closeSync(from)
    closeSync(into)
  }
}

/** What copyFileAt is told about a file as it is now. */
function numbersOf(from: number, name: string, mode = 0o640): Float64Array {
  const stat = native().statAt(from, name)
  if (stat === undefined) throw new Error(`no ${name}`)
  const numbers = new Float64Array(copyWidth)
  numbers[copyFields.isChecked] = 1
  numbers[copyFields.size] = stat.size
  numbers[copyFields.mtimeSeconds] = stat.mtimeSeconds
  numbers[copyFields.mtimeNanoseconds] = stat.mtimeNanoseconds
  numbers[copyFields.ctimeSeconds] = stat.ctimeSeconds
  numbers[copyFields.ctimeNanoseconds] = stat.ctimeNanoseconds
  numbers[copyFields.inodeHigh] = stat.inodeHigh
  numbers[copyFields.inodeLow] = stat.inodeLow
  numbers[copyFields.uid] = process.getuid?.() ?? 0
  numbers[copyFields.gid] = process.getgid?.() ?? 0
  numbers[copyFields.mode] = mode
  return numbers
}

for (const size of [0, 1, 65_536, 65_537, 3_000_000])
  test(`a file of ${size} bytes is copied with its mode and time`, t => {
    withDirectories((from, into, scratch) => {
      const bytes = Buffer.alloc(size, 'kauri')
      writeFileSync(scratch.at('from', 'f'), bytes)
      native().setTimesAt(from, 'f', -5, 7)
      t.true(native().copyFileAt(from, 'f', into, 'g', numbersOf(from, 'f')))
      t.true(readFileSync(scratch.at('into', 'g')).equals(bytes))
      const copy = native().statAt(into, 'g')
      t.deepEqual([copy?.mode, copy?.mtimeSeconds, copy?.mtimeNanoseconds], [0o100640, -5, 7])
    })
  })

test('holes stay holes, also at the end', t => {
  withDirectories((from, into, scratch) => {
    const fd = openSync(scratch.at('from', 'f'), 'w')
    writeSync(fd, 'start')
    writeSync(fd, 'middle', 8_000_000)
    ftruncateSync(fd, 20_000_000)
    closeSync(fd)
    t.true(native().copyFileAt(from, 'f', into, 'g', numbersOf(from, 'f')))
    const copy = statSync(scratch.at('into', 'g'))
    t.is(copy.size, 20_000_000)
    t.true(copy.blocks * 512 < 1_000_000)
    t.true(readFileSync(scratch.at('into', 'g')).equals(readFileSync(scratch.at('from', 'f'))))
  })
})

for (const [what, field] of Object.entries(copyFields).filter(
  ([, index]) => index >= copyFields.size && index <= copyFields.inodeLow,
))
  test(`a file with another ${what} is not the expected one`, t => {
    withDirectories((from, into, scratch) => {
      writeFileSync(scratch.at('from', 'f'), 'F')
      const numbers = numbersOf(from, 'f')
      numbers[field] = (numbers[field] ?? 0) + 1
      t.false(native().copyFileAt(from, 'f', into, 'g', numbers))
      numbers[copyFields.isChecked] = 0
      t.true(native().copyFileAt(from, 'f', into, 'h', numbers))
    })
  })

test('a name that is taken, a link and what is no file are errors', t => {
  withDirectories((from, into, scratch) => {
    writeFileSync(scratch.at('from', 'f'), 'F')
    symlinkSync('f', scratch.at('from', 'l'))
    mkdirSync(scratch.at('from', 'd'))
    // Opening it must not wait for a writer.
    execFileSync('mkfifo', [scratch.at('from', 'p')])
    writeFileSync(scratch.at('into', 'g'), 'G')
    symlinkSync('elsewhere', scratch.at('into', 'l'))
    const numbers = numbersOf(from, 'f')
    const codeOf = (name: string, copy: string): unknown =>
      t.throws(() => native().copyFileAt(from, name, into, copy, numbers), undefined, name)
    t.like(codeOf('f', 'g'), { code: 'EEXIST' })
    t.like(codeOf('f', 'l'), { code: 'EEXIST' })
    t.like(codeOf('l', 'x'), { code: 'ELOOP' })
    t.like(codeOf('d', 'x'), { code: 'EINVAL' })
    t.like(codeOf('p', 'x'), { code: 'EINVAL' })
    t.like(codeOf('none', 'x'), { code: 'ENOENT' })
    t.like(codeOf('../from/f', 'x'), { code: 'EINVAL' })
    t.is(readFileSync(scratch.at('into', 'g'), 'utf8'), 'G')
    t.throws(() => native().copyFileAt(from, 'f', into, 'x', new Float64Array(3)))
  })
})

test('a file is read up to the room there is, and one byte more tells that it is larger', t => {
  withDirectories((from, _into, scratch) => {
    const buffer = Buffer.alloc(10)
    for (const [size, want] of [
      [0, 0],
      [9, 9],
      [10, 10],
      [11, 11],
      [5000, 11],
    ] as const) {
      writeFileSync(scratch.at('from', 'f'), 'x'.repeat(size))
      t.is(native().readFileAt(from, 'f', buffer), want)
    }
    truncateSync(scratch.at('from', 'f'), 3)
    t.is(native().readFileAt(from, 'f', buffer), 3)
    t.is(buffer.toString('latin1', 0, 3), 'xxx')
    symlinkSync('f', scratch.at('from', 'l'))
    t.throws(() => native().readFileAt(from, 'l', buffer), { code: 'ELOOP' })
  })
})

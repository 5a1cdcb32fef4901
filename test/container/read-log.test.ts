import { appendFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import test from 'ava'
import {
  formatTime,
  type LogEntry,
  type LogForm,
  parseTime,
} from '../../src/container/log-format.ts'
import { type LogOptions, readLog } from '../../src/container/read-log.ts'
import { makeScratch } from '../helpers/scratch.ts'

function entry(number: number, form: LogForm, stream: LogEntry['stream'] = 'stdout'): Buffer {
  const log = `line ${number}\n`
  const time = BigInt(number) * 1_000_000_000n
  if (form === 'json-file')
    return Buffer.from(`${JSON.stringify({ log, stream, time: formatTime(time) })}\n`)
  const header = Buffer.alloc(16)
  const text = log.trimEnd()
  header.writeUInt32LE(Buffer.byteLength(text), 0)
  header[4] = stream === 'stderr' ? 2 : 1
  header.writeBigUInt64LE(time, 8)
  return Buffer.concat([header, Buffer.from(text)])
}

function entries(from: number, to: number, form: LogForm): Buffer {
  return Buffer.concat(Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, form)))
}

async function numbers(
  log: { readonly form: LogForm; readonly file: string },
  options: LogOptions = {},
): Promise<number[]> {
  const all: number[] = []
  for await (const { text } of readLog(log, options))
    all.push(Number(/^line (\d+)\n$/.exec(text.toString())?.[1]))
  return all
}

const seconds = (n: number): bigint => BigInt(n) * 1_000_000_000n

for (const form of ['json-file', 'local'] as const) {
  test(`a ${form} log is read from the oldest file on`, async t => {
    using scratch = makeScratch()
    const file = scratch.at('log')
    writeFileSync(`${file}.2`, entries(1, 3, form))
    writeFileSync(`${file}.1`, entries(4, 6, form))
    writeFileSync(file, entries(7, 8, form))
    const log = { form, file }
    t.deepEqual(await numbers(log), [1, 2, 3, 4, 5, 6, 7, 8])
    t.deepEqual(await numbers(log, { tail: 3 }), [6, 7, 8])
    t.deepEqual(await numbers(log, { tail: 0 }), [])
    t.deepEqual(await numbers(log, { since: seconds(6) }), [6, 7, 8])
    t.deepEqual(await numbers(log, { since: seconds(2), until: seconds(4) }), [2, 3, 4])
  })

  test(`who follows a ${form} log gets entries that come in pieces`, async t => {
    using scratch = makeScratch()
    const file = scratch.at('log')
    const whole = entries(1, 60, form)
    // Also in the middle of an entry.
    const steps = Array.from({ length: 12 }, (_, i) => 1 + Math.floor((whole.length * i) / 12))
    writeFileSync(file, '')
    let step = 0
    const isRunning = (): boolean => {
      appendFileSync(file, whole.subarray(step === 0 ? 0 : steps[step], steps[step + 1]))
      step++
      return step < steps.length
    }
    const read: number[] = []
    for await (const { text } of readLog({ form, file }, { isRunning }))
      read.push(Number(text.toString().slice(5)))
    t.deepEqual(
      read,
      Array.from({ length: 60 }, (_, i) => i + 1),
    )
  })

  test(`a half written entry at the end of a ${form} log is none`, async t => {
    using scratch = makeScratch()
    const file = scratch.at('log')
    writeFileSync(file, entries(1, 3, form).subarray(0, -3))
    t.deepEqual(await numbers({ form, file }), [1, 2])
  })

  test(`damage in a ${form} log is passed over and ends`, async t => {
    using scratch = makeScratch()
    const file = scratch.at('log')
    writeFileSync(
      file,
      Buffer.concat([
        entry(1, form),
        Buffer.from('{"log":1}\nnonsense\n\n'),
        Buffer.alloc(64, 255),
      ]),
    )
    t.deepEqual(await numbers({ form, file }), [1])
  })
}

test('a follower goes on in the file that took the name', async t => {
  using scratch = makeScratch()
  const file = scratch.at('log')
  const form = 'json-file'
  writeFileSync(file, entries(1, 2, form))
  let turn = 0
  const isRunning = (): boolean => {
    turn++
    if (turn === 2) {
      // two rotations between two looks
      appendFileSync(file, entries(3, 4, form))
      renameSync(file, `${file}.1`)
      writeFileSync(file, entries(5, 6, form))
      renameSync(`${file}.1`, `${file}.2`)
      renameSync(file, `${file}.1`)
      writeFileSync(file, entries(7, 7, form))
      rmSync(`${file}.2`)
    }
    return turn < 5
  }
  t.deepEqual(await numbers({ form, file }, { isRunning }), [1, 2, 3, 4, 5, 6, 7])
})

test('streams are told apart', async t => {
  using scratch = makeScratch()
  const file = scratch.at('log')
  for (const form of ['json-file', 'local'] as const) {
    writeFileSync(file, Buffer.concat([entry(1, form), entry(2, form, 'stderr')]))
    const streams: string[] = []
    for await (const { stream } of readLog({ form, file }, {})) streams.push(stream)
    t.deepEqual(streams, ['stdout', 'stderr'])
  }
})

test('a log that is not there is empty', async t => {
  t.deepEqual(await numbers({ form: 'local', file: '/nosuch/log' }), [])
})

test('times keep their nanoseconds, whatever their zone', t => {
  const time = parseTime('2026-01-02T03:04:05.000000123+01:00')
  t.is(time, 1_767_319_445_000_000_123n)
  t.is(formatTime(time ?? 0n), '2026-01-02T02:04:05.000000123Z')
  for (const text of ['', '2026', '2026-13-01T00:00:00Z', '2026-01-02T03:04:05'])
    t.is(parseTime(text), undefined, text)
})

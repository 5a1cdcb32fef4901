// What a monitor does for its container: streams, logs, those who attach, the end.

import {
  existsSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import process from 'node:process'
import { tryLockFile } from '../../src/native/file-lock.ts'
import { firstLockFd } from '../../src/runtime/monitor.ts'
import type { MonitorConnection } from '../../src/runtime/monitor-client.ts'
import { connectIn } from '../../src/runtime/start-container.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { makeLifeBench } from './life-bench.ts'

const test = testWith({ root: true })

/** Everything that comes until the end, and the exit code. */
async function readAll(monitor: MonitorConnection): Promise<{ text: string; code: number }> {
  const chunks: Uint8Array[] = []
  for await (const frame of monitor.frames) {
    if (frame.kind === 'exit') return { text: Buffer.concat(chunks).toString(), code: frame.code }
    chunks.push(frame.bytes)
  }
  return { text: Buffer.concat(chunks).toString(), code: -1 }
}

test('who attaches gets the streams asked for, and the end', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['sh', '-c', 'echo out; echo err >&2; exit 5'])
  using both = await bench.attach(id)
  using errors = await bench.attach(id, { stderr: true })
  using end = await bench.attach(id, {})
  await bench.runtime.start(id)
  const [all, onlyErrors, onlyEnd] = await Promise.all([both, errors, end].map(readAll))
  t.deepEqual(all?.text.split('\n').toSorted(), ['', 'err', 'out'])
  t.deepEqual(onlyErrors, { text: 'err\n', code: 5 })
  t.deepEqual(onlyEnd, { text: '', code: 5 })
})

test('input reaches the program, from several, until one ends it', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['cat'], { supervision: { openInput: true } })
  using first = await bench.attach(id)
  await bench.runtime.start(id)
  const reading = readAll(first)
  await first.write(Buffer.from('one\n'))
  t.true(await eventually(() => bench.logged(id).length === 1))
  using second = await bench.attach(id, {})
  await second.write(Buffer.from('two\n'))
  second.endInput()
  t.deepEqual(await reading, { text: 'one\ntwo\n', code: 0 })
})

test('without input a program reads the end at once', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['cat'])
  t.is(await bench.exitOf(id), 0)
})

test('a client that goes leaves program and input as they are', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['cat'], { supervision: { openInput: true } })
  for (let round = 0; round < 100; round++) {
    using monitor = await bench.attach(id)
    if (round % 2 === 0) await monitor.write(Buffer.from('x'))
  }
  using last = await bench.attach(id)
  last.endInput()
  t.is((await readAll(last)).code, 0)
  t.is(
    bench
      .logged(id)
      .map(({ log }) => log)
      .join(''),
    'x'.repeat(50),
  )
})

test('a slow reader gets every byte, and the container waits for it', async t => {
  await using bench = makeLifeBench()
  const bytes = 20 << 20
  const { id } = await bench.created(['sh', '-c', `head -c ${bytes} /dev/zero`], {
    supervision: { log: { driver: 'none' } },
  })
  using monitor = await bench.attach(id)
  await bench.runtime.start(id)
  let received = 0
  let pauses = 0
  for await (const frame of monitor.frames) {
    if (frame.kind === 'exit') break
    received += frame.bytes.length
    if (received > pauses << 20) {
      pauses++
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
  t.is(received, bytes)
})

test('large input comes through a program that reads slowly', async t => {
  await using bench = makeLifeBench()
  const bytes = 3 << 20
  const { id } = await bench.created(
    ['perl', '-e', 'select undef, undef, undef, 0.2; local $/; print length <STDIN>'],
    {
      supervision: { openInput: true },
    },
  )
  using monitor = await bench.attach(id)
  await bench.runtime.start(id)
  const reading = readAll(monitor)
  await monitor.write(Buffer.alloc(bytes, 'x'))
  monitor.endInput()
  t.is((await reading).text.trim(), String(bytes))
})

for (const { name, bytes } of [
  { name: 'a frame of an unknown kind', bytes: [9, 0, 0, 0, 0, 0, 0, 1, 0] },
  { name: 'a frame without an end', bytes: [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff] },
  { name: 'a size of the wrong length', bytes: [1, 0, 0, 0, 0, 0, 0, 1, 7] },
])
  test(`${name} ends that client’s connection, and no other`, async t => {
    await using bench = makeLifeBench()
    const { id } = await bench.started(['cat'], { supervision: { openInput: true } })
    using other = await bench.attach(id)
    const socket = await connectIn(bench.runtime.directoryOf(id), 'monitor.sock')
    socket.write(Uint8Array.from(bytes))
    for await (const _ of socket) continue
    other.endInput()
    t.is((await readAll(other)).code, 0)
  })

test('more clients than there are places for are turned away', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['cat'], { supervision: { openInput: true } })
  const directory = bench.runtime.directoryOf(id)
  const sockets = await Promise.all(
    Array.from({ length: 80 }, () => connectIn(directory, 'monitor.sock')),
  )
  const closed = sockets.map(async socket => {
    for await (const _ of socket) continue
    return socket.destroy()
  })
  await Promise.any(closed)
  for (const socket of sockets) socket.destroy()
  t.true(
    await eventually(async () => {
      using monitor = await bench.attach(id)
      monitor.endInput()
      return (await readAll(monitor)).code === 0
    }),
  )
})

test('a terminal: one stream, its size, and signals of keys', async t => {
  await using bench = makeLifeBench()
  const script =
    'stty size; read x; stty size; trap "echo interrupted; exit 4" INT; echo ready; while :; do read y; done'
  const { id } = await bench.created(['sh', '-c', script], {
    supervision: { terminal: true, openInput: true },
    config: { terminal: true, consoleSize: { height: 11, width: 22 } },
  })
  using monitor = await bench.attach(id)
  await bench.runtime.start(id)
  let text = ''
  let step = 0
  for await (const frame of monitor.frames) {
    if (frame.kind === 'exit') {
      t.is(frame.code, 4)
      break
    }
    text += Buffer.from(frame.bytes).toString()
    if (step === 0 && text.includes('11 22')) {
      step = 1
      monitor.resize(33, 44)
      await monitor.write(Buffer.from('go\n'))
    }
    if (step === 1 && text.includes('ready')) {
      step = 2
      await monitor.write(Buffer.of(3))
    }
  }
  t.true(text.includes('33 44\r\n'))
  t.true(text.includes('interrupted'))
  t.true(bench.logged(id).every(({ stream }) => stream === 'stdout'))
})

test('signals of a client reach the program', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started([
    'sh',
    '-c',
    'trap "exit 6" USR1; echo up; while :; do sleep 0.05; done',
  ])
  t.true(await eventually(() => bench.logged(id).length === 1))
  using monitor = await bench.attach(id, {})
  monitor.signal(10)
  t.is((await readAll(monitor)).code, 6)
})

test('the log is docker’s: lines, pieces of 16 KiB, text that is JSON whatever comes', async t => {
  await using bench = makeLifeBench()
  const hostile = Buffer.from([
    ...Array.from({ length: 256 }, (_, index) => index),
    0xe2,
    0x80,
    0xa8,
    0xed,
    0xa0,
    0x80,
    0xf0,
    0x9f,
    0x98,
    0x80,
  ])
  writeFileSync(`${bench.lower}/hostile`, hostile)
  const script = 'cat /hostile; echo; perl -e \'print "Z" x 40000\'; echo; printf "no end"'
  const { id } = await bench.started(['sh', '-c', script])
  t.is(await bench.exitOf(id), 0)
  const logged = bench.logged(id)
  const text = logged.map(({ log }) => log).join('')
  // Each byte that is no UTF-8 stands for one character.
  t.true(text.startsWith(`${new TextDecoder().decode(hostile)}\n`))
  t.deepEqual(
    logged.filter(({ log }) => log.startsWith('ZZ')).map(({ log }) => log.length),
    [16_384, 16_384, 40_000 - 2 * 16_384 + 1],
  )
  t.is(logged.at(-1)?.log, 'no end')
  t.true(logged.every(({ time }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(time)))
})

test('logs are rotated by size, and no more files are kept than asked for', async t => {
  await using bench = makeLifeBench()
  const file = bench.at('log', 'rotated')
  const { id } = await bench.started(
    ['sh', '-c', 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done'],
    {
      supervision: { log: { driver: 'json-file', file, maxBytes: 20_000, maxFiles: 3 } },
    },
  )
  t.is(await bench.exitOf(id), 0)
  const names = readdirSync(bench.at('log'))
    .filter(name => name.startsWith('rotated'))
    .toSorted()
  t.deepEqual(names, ['rotated', 'rotated.1', 'rotated.2'])
  const lines = ['rotated.2', 'rotated.1', 'rotated'].flatMap(name =>
    readFileSync(bench.at('log', name), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map(line => (JSON.parse(line) as { log: string }).log),
  )
  t.is(lines.at(-1), 'line 2999\n')
  // Nothing is lost or doubled at the borders.
  const first = Number(/\d+/.exec(lines[0] ?? '')?.[0])
  t.deepEqual(
    lines,
    Array.from({ length: 3000 - first }, (_, index) => `line ${first + index}\n`),
  )
  for (const name of names) t.true(statSync(bench.at('log', name)).size < 20_000 + 300_000)
})

test('a log that is a link or no file is refused', async t => {
  await using bench = makeLifeBench()
  for (const file of ['/dev/null', '/dev', '/dev/stdout']) {
    const log = { driver: 'json-file', file, maxBytes: 1, maxFiles: 2 } as const
    await t.throwsAsync(bench.created(['true'], { supervision: { log } }), {
      code: 'LAUNCH_FAILED',
    })
  }
  t.true(lstatSync('/dev/null').isCharacterDevice())
  t.deepEqual(bench.runtime.list(), [])
})

test('local logs are records of length, stream, time and text', async t => {
  await using bench = makeLifeBench()
  const file = bench.at('log', 'local')
  const { id } = await bench.started(['sh', '-c', 'echo one; echo two >&2'], {
    supervision: { log: { driver: 'local', file } },
  })
  t.is(await bench.exitOf(id), 0)
  const bytes = readFileSync(file)
  const records: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at)
    const stream = bytes.readUInt8(at + 4)
    const seconds = Number(bytes.readBigUInt64LE(at + 8) / 1_000_000_000n)
    t.true(Math.abs(seconds - Date.now() / 1000) < 3600)
    records.push(`${stream} ${bytes.subarray(at + 16, at + 16 + length).toString()}`)
    at += 16 + length
  }
  t.deepEqual(records.toSorted(), ['1 one', '2 two'])
})

test('at the end the monitor becomes the clean-up command, with its locks', async t => {
  await using bench = makeLifeBench()
  const lock = tryLockFile(bench.at('lock'), 'exclusive')
  if (lock === undefined) throw new Error('the lock is taken')
  const report = bench.at('report')
  const script = `echo $$ $X $(readlink /proc/self/fd/${firstLockFd}) > ${report}.new; mv ${report}.new ${report}; read x < ${bench.at('fifo')}`
  const { execFileSync } = await import('node:child_process')
  execFileSync('mkfifo', [bench.at('fifo')])
  const { id, monitorPid } = await bench.started(['sleep', '0.01'], {
    supervision: {
      locks: [lock.fd],
      cleanUp: { args: ['/bin/sh', '-c', script], environment: ['X=value', 'PATH=/bin:/usr/bin'] },
    },
  })
  lock[Symbol.dispose]()
  t.true(await eventually(() => existsSync(report)))
  t.is(readFileSync(report, 'utf8').trim(), `${monitorPid} value ${bench.at('lock')}`)
  t.is(bench.runtime.state(id)?.exit?.code, 0)
  t.is(tryLockFile(bench.at('lock'), 'exclusive'), undefined)
  writeFileSync(openSync(bench.at('fifo'), 'r+'), 'go\n')
  t.true(
    await eventually(() => {
      using free = tryLockFile(bench.at('lock'), 'exclusive')
      return free !== undefined
    }),
  )
})

test('a timer runs its command again and again, while the container does', async t => {
  await using bench = makeLifeBench()
  const file = bench.at('ticks')
  const timer = {
    args: ['/bin/sh', '-c', `echo tick >> ${file}`],
    environment: [],
    firstMs: 20,
    intervalMs: 20,
  }
  const { id } = await bench.created(['sleep', '1000'], { supervision: { timer } })
  t.false(existsSync(file))
  await bench.runtime.start(id)
  t.true(await eventually(() => existsSync(file) && readFileSync(file, 'utf8').length >= 15))
  bench.runtime.kill(id, 'SIGKILL')
  t.is(await bench.exitOf(id), 137)
})

test('a monitor is small', async t => {
  await using bench = makeLifeBench()
  const { id, monitorPid } = await bench.started([
    'sh',
    '-c',
    'head -c 3000000 /dev/zero; sleep 1000',
  ])
  t.true(await eventually(() => statSync(bench.logFile(id)).size > 3_000_000))
  const status = readFileSync(`/proc/${monitorPid}/status`, 'utf8')
  t.true(Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) < 2048)
  t.is(Number(/^Threads:\s+(\d+)$/m.exec(status)?.[1]), 1)
  t.regex(readFileSync(`/proc/${monitorPid}/cmdline`, 'utf8'), /monitor/)
  t.not(process.pid, monitorPid)
})

// A container's life in pieces: made by one process, started by another, watched by its monitor.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { readStored, writeStored } from '../../src/runtime/container-files.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { processesWith } from './container-bench.ts'
import { makeLifeBench } from './life-bench.ts'

const test = testWith({ root: true })

let words = 0
/** Stands in the command line of a container's processes. */
const newWord = (): string => `6${process.pid}.${++words}`

test('a container is created, started, ends, and is deleted', async t => {
  await using bench = makeLifeBench()
  const made = await bench.created(['sh', '-c', 'echo out; echo err >&2; exit 7'])
  const { id } = made
  t.is(made.status, 'created')
  t.true(made.pid > 0)
  t.is(made.startedMs, undefined)
  const end = bench.runtime.wait(id)
  await bench.runtime.start(id)
  t.is((await end).code, 7)
  t.is(await bench.exitOf(id), 7)
  const state = bench.runtime.state(id)
  t.is(state?.status, 'stopped')
  t.is(state?.pid, 0)
  t.true((state?.startedMs ?? 0) >= made.createdMs)
  t.deepEqual(
    bench
      .logged(id)
      .map(({ log, stream }) => `${stream} ${log}`)
      .toSorted(),
    ['stderr err\n', 'stdout out\n'],
  )
  await bench.runtime.delete(id)
  t.is(bench.runtime.state(id), undefined)
  t.deepEqual(bench.runtime.list(), [])
  t.deepEqual(bench.leftovers(), [])
  t.false(existsSync(bench.runtime.directoryOf(id)))
  t.false(readFileSync('/proc/self/mountinfo', 'utf8').includes(bench.at()))
})

test('the program of a created container has not begun', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['touch', '/begun'])
  t.false(existsSync(`${bench.upper}/begun`))
  await bench.runtime.start(id)
  t.is(await bench.exitOf(id), 0)
  t.true(existsSync(`${bench.upper}/begun`))
})

test('what the program needs is missed at the start, and said there', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['no-such-program'])
  await t.throwsAsync(bench.runtime.start(id), { code: 'COMMAND_NOT_FOUND' })
  t.is(await bench.exitOf(id), 127)
  const other = await bench.created(['/etc'])
  await t.throwsAsync(bench.runtime.start(other.id), { code: 'COMMAND_NOT_EXECUTABLE' })
  t.is(await bench.exitOf(other.id), 126)
})

test('a container is started once', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['sleep', newWord()])
  await t.throwsAsync(bench.runtime.start(id), { code: 'CONTAINER_NOT_RUNNING' })
  t.is(bench.runtime.state(id)?.status, 'running')
})

test('of many starts at once one comes through', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['sleep', newWord()])
  const tries = await Promise.allSettled(Array.from({ length: 5 }, () => bench.runtime.start(id)))
  t.true(tries.some(({ status }) => status === 'fulfilled'))
  t.is(bench.runtime.state(id)?.status, 'running')
  t.is(bench.runtime.processes(id).length, 1)
})

test('an id is taken while its container is there', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['true'])
  const again = bench.runtime.create(
    { id, config: bench.config(['true']), root: bench.root },
    { supervision: { kind: 'caller', preserveFds: 0 } },
  )
  await t.throwsAsync(again, { code: 'NAME_IN_USE' })
  t.is(bench.runtime.state(id)?.status, 'created')
})

for (const id of ['', '..', 'a/b', '-x', '.hidden', 'a'.repeat(200)])
  test(`${JSON.stringify(id.slice(0, 20))} is no id`, async t => {
    await using bench = makeLifeBench()
    t.throws(() => bench.runtime.state(id), { code: 'USAGE' })
    t.throws(() => bench.runtime.directoryOf(id), { code: 'USAGE' })
  })

test('what cannot be made leaves nothing', async t => {
  await using bench = makeLifeBench()
  const mounts = [{ destination: '/x', type: 'bind', source: '/no/such', options: ['bind'] }]
  await t.throwsAsync(bench.created(['true'], { config: { mounts } }), { code: 'LAUNCH_FAILED' })
  t.deepEqual(bench.runtime.list(), [])
  t.deepEqual(bench.leftovers(), [])
})

test('a container that is aborted while it is made leaves nothing', async t => {
  await using bench = makeLifeBench()
  const id = `test-${process.pid}-abort`
  const stopped = new AbortController()
  const making = bench.runtime.create(
    { id, config: bench.config(['true']), root: bench.root },
    {
      supervision: { kind: 'caller', preserveFds: 0 },
      hooks: {
        async prepared() {
          stopped.abort()
          return await Promise.resolve('')
        },
      },
      signal: stopped.signal,
    },
  )
  await t.throwsAsync(making, { code: 'CANCELLED' })
  t.deepEqual(bench.runtime.list(), [])
  t.deepEqual(bench.leftovers(), [])
})

test('signals reach the first process, or all', async t => {
  await using bench = makeLifeBench()
  const word = newWord()
  const script = `trap "exit 3" TERM; sleep ${word} & wait`
  const { id } = await bench.started(['sh', '-c', script])
  t.true(await eventually(() => processesWith(word).length === 2))
  bench.runtime.kill(id, 'SIGTERM')
  t.is(await bench.exitOf(id), 3)
  t.throws(() => bench.runtime.kill(id, 'SIGTERM'), { code: 'CONTAINER_NOT_RUNNING' })
  t.throws(() => bench.runtime.kill(id, 99), { code: 'USAGE' })
  const other = await bench.started(['sh', '-c', `trap "" TERM; sleep ${word} & wait; exit 5`])
  t.true(await eventually(() => processesWith(word).length === 2))
  bench.runtime.kill(other.id, 9, { all: true })
  t.is(await bench.exitOf(other.id), 137)
})

test('a created container dies of signals', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.created(['true'])
  bench.runtime.kill(id, 'SIGTERM')
  t.is(await bench.exitOf(id), 143)
  await t.throwsAsync(bench.runtime.start(id), { code: 'CONTAINER_NOT_RUNNING' })
})

test('a container that ignores every signal is deleted by force, with all its processes', async t => {
  await using bench = makeLifeBench()
  const word = newWord()
  const script = `trap "" TERM INT HUP; setsid sleep ${word} & sleep ${word} & wait; wait`
  const { id } = await bench.started(['sh', '-c', script])
  t.true(await eventually(() => processesWith(word).length === 3))
  await t.throwsAsync(bench.runtime.delete(id), { code: 'CONTAINER_RUNNING' })
  await bench.runtime.delete(id, { force: true })
  t.true(await eventually(() => processesWith(word).length === 0))
  t.deepEqual(bench.leftovers(), [])
})

test('a paused container stands still, takes no programs, and is deleted by force', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['sh', '-c', 'while :; do :; done'])
  await bench.runtime.pause(id)
  t.is(bench.runtime.state(id)?.status, 'paused')
  await t.throwsAsync(bench.runtime.pause(id), { code: 'CONTAINER_NOT_RUNNING' })
  const before = bench.runtime.stats(id).cpuNanoseconds
  await t.throwsAsync(bench.exec(id, ['true']), { code: 'CONTAINER_NOT_RUNNING' })
  t.is(bench.runtime.stats(id).cpuNanoseconds, before)
  await bench.runtime.resume(id)
  t.true(await eventually(() => bench.runtime.stats(id).cpuNanoseconds > before))
  await t.throwsAsync(bench.runtime.resume(id), { code: 'CONTAINER_NOT_RUNNING' })
  await bench.runtime.pause(id)
  await bench.runtime.delete(id, { force: true })
  t.deepEqual(bench.leftovers(), [])
})

test('a paused container dies of SIGKILL', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['sleep', newWord()])
  await bench.runtime.pause(id)
  bench.runtime.kill(id, 'SIGKILL')
  t.is(await bench.exitOf(id), 137)
})

test('limits change while it runs, and what it uses is counted', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['sleep', newWord()], {
    config: { resources: { memory: { limit: 256 << 20 }, pids: { limit: 10 } } },
  })
  const stats = bench.runtime.stats(id)
  t.is(stats.memoryLimitBytes, 256 << 20)
  t.is(stats.processes, 1)
  t.true(stats.memoryBytes > 0 && stats.cpuNanoseconds > 0)
  bench.runtime.update(id, { memory: { limit: 64 << 20 } })
  t.is(bench.runtime.stats(id).memoryLimitBytes, 64 << 20)
  bench.runtime.update(id, { memory: { limit: 512 << 20 } })
  t.is(bench.runtime.stats(id).memoryLimitBytes, 512 << 20)
  const { resources } = bench.runtime.state(id)?.config.linux ?? {}
  t.is(resources?.memory?.limit, 512 << 20)
  t.is(resources?.pids?.limit, 10)
  t.throws(() => bench.runtime.update(id, { cpu: { cpus: '4000' } }), { code: 'LIMIT_UNAVAILABLE' })
})

test('want of memory is told with the end', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['perl', '-e', '$x = "x" x (1 << 28); sleep 1000'], {
    config: { resources: { memory: { limit: 32 << 20, swap: 32 << 20 } } },
  })
  t.is(await bench.exitOf(id), 137)
  t.true(bench.runtime.state(id)?.exit?.outOfMemory)
})

test('a fork bomb is bounded, and is gone with its container', async t => {
  await using bench = makeLifeBench()
  const word = newWord()
  const { id } = await bench.started(['perl', '-e', 'while (1) { fork }', word], {
    config: { resources: { pids: { limit: 30 } } },
  })
  t.true(await eventually(() => bench.runtime.processes(id).length >= 20))
  t.true(bench.runtime.processes(id).length <= 30)
  await bench.runtime.delete(id, { force: true })
  t.deepEqual(processesWith(word), [])
  t.deepEqual(bench.leftovers(), [])
})

test('files of a container tell nothing of files that are in memory only', async t => {
  await using bench = makeLifeBench()
  const content = Buffer.from('a secret of nobody')
  const mounts = [
    {
      destination: '/secret',
      type: 'bind',
      source: '',
      options: ['ro'],
      file: { content, mode: 0o400, uid: 0, gid: 0 },
    },
  ]
  const { id } = await bench.started(['sleep', newWord()], { config: { mounts } })
  t.deepEqual((await bench.exec(id, ['cat', '/secret'])).lines, ['a secret of nobody'])
  t.false(JSON.stringify(readStored(bench.runRoot, id)).includes('secret of'))
  t.false(JSON.stringify(readStored(bench.runRoot, id)).includes(content.toJSON().data.join()))
})

test('numbers of 64 bits and missing limits survive in files', async t => {
  await using bench = makeLifeBench()
  mkdirSync(bench.at('run', 'containers', 'x'), { recursive: true })
  const config = bench.config(['true'])
  const seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [
      {
        names: ['clone'],
        action: 'SCMP_ACT_ERRNO',
        args: [{ index: 0, value: 0xffff_ffff_ffff_fff0n, op: 'SCMP_CMP_EQ' }],
      },
    ],
  }
  const rlimits = [{ type: 'RLIMIT_CORE', soft: Infinity, hard: Infinity }]
  writeStored(bench.runRoot, {
    id: 'x',
    createdMs: 1,
    cgroup: { directories: [], taskFiles: [] },
    config: {
      ...config,
      process: { ...config.process, rlimits },
      linux: { ...config.linux, seccomp },
    },
  })
  const read = readStored(bench.runRoot, 'x')
  t.deepEqual(read?.config.linux.seccomp, seccomp)
  t.deepEqual(read?.config.process.rlimits, [{ type: 'RLIMIT_CORE', soft: -1, hard: -1 }])
  t.is(bench.runtime.state('x')?.status, 'stopped')
})

test('a process that has the id of an ended container’s is not taken for it', async t => {
  await using bench = makeLifeBench()
  const { id } = await bench.started(['sleep', newWord()])
  const stored = readStored(bench.runRoot, id)
  if (stored === undefined) throw new Error('the container has no files')
  bench.runtime.kill(id, 'SIGKILL')
  await bench.exitOf(id)
  writeFileSync(
    `${bench.runtime.directoryOf(id)}/exit.json`,
    '{"exitCode":1,"outOfMemory":false,"finishedMs":1}',
  )
  writeStored(bench.runRoot, { ...stored, process: { pid: process.pid, startTicks: '1' } })
  t.is(bench.runtime.state(id)?.status, 'stopped')
  t.throws(() => bench.runtime.kill(id, 'SIGKILL'), { code: 'CONTAINER_NOT_RUNNING' })
  await t.throwsAsync(bench.exec(id, ['true']), { code: 'CONTAINER_NOT_RUNNING' })
  writeStored(bench.runRoot, stored)
})

test('a foreground container is found by others while it runs', async t => {
  await using bench = makeLifeBench()
  const id = `test-${process.pid}-findable`
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const running = bench.runtime.run(
    { id, config: bench.config(['sleep', newWord()]), root: bench.root },
    { io: { kind: 'lines', onLine: () => {} }, isFindable: true, onStart: () => resolve() },
  )
  await begun
  t.is(bench.runtime.state(id)?.status, 'running')
  t.true(
    await eventually(() =>
      bench.exec(id, ['true']).then(
        ({ code }) => code === 0,
        () => false,
      ),
    ),
  )
  bench.runtime.kill(id, 'SIGKILL')
  t.is((await running).code, 137)
  t.is(bench.runtime.state(id), undefined)
  t.deepEqual(bench.leftovers(), [])
})

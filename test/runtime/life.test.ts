// A container's life in pieces: made by one process, started by another, watched by its monitor.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import process from 'node:process'
import type { MonitorSupervision } from '../../src/runtime/container-runtime.ts'
import { connectMonitor } from '../../src/runtime/monitor-client.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { type ContainerBench, hostMounts, makeBench } from './container-bench.ts'

const test = testWith({ root: true })

let count = 0
const newId = (): string => `test-${process.pid}-life-${++count}`

function watched(
  bench: ContainerBench,
  more: Partial<MonitorSupervision> = {},
): MonitorSupervision {
  mkdirSync(bench.at('log'), { recursive: true })
  return {
    kind: 'monitor',
    terminal: false,
    openInput: false,
    log: { driver: 'json-file', file: bench.at('log', 'json.log') },
    locks: [],
    cleanUp: { args: ['/bin/true'], environment: [] },
    ...more,
  }
}

test('a container is created, started, ends, and is deleted', async t => {
  using bench = makeBench()
  const id = newId()
  const config = bench.config(['sh', '-c', 'echo out; echo err >&2; exit 7'])
  const made = await bench.runtime.create(
    { id, config, root: bench.root },
    { supervision: watched(bench) },
  )
  t.is(made.status, 'created')
  t.true(made.pid > 0)
  t.true((made.monitorPid ?? 0) > 0)
  const end = bench.runtime.wait(id)
  await bench.runtime.start(id)
  t.deepEqual((await end).code, 7)
  t.true(await eventually(() => bench.runtime.state(id)?.exit !== undefined))
  t.is(bench.runtime.state(id)?.status, 'stopped')
  const lines = readFileSync(bench.at('log', 'json.log'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { log: string; stream: string; time: string })
  t.deepEqual(lines.map(({ log, stream }) => `${stream} ${log}`).toSorted(), [
    'stderr err\n',
    'stdout out\n',
  ])
  await bench.runtime.delete(id)
  t.is(bench.runtime.state(id), undefined)
  t.deepEqual(bench.leftovers(), [])
  t.false(existsSync(bench.runtime.directoryOf(id)))
})

test('attach, input, signals', async t => {
  using bench = makeBench()
  const id = newId()
  const config = bench.config([
    'sh',
    '-c',
    'trap "echo got; exit 3" TERM; cat; echo end; sleep 1000 & wait',
  ])
  await bench.runtime.create(
    { id, config, root: bench.root },
    { supervision: watched(bench, { openInput: true }) },
  )
  using monitor = await connectMonitor(bench.at('run'), id, { stdout: true, stderr: true })
  await bench.runtime.start(id)
  await monitor.write(Buffer.from('hello\n'))
  monitor.endInput()
  let text = ''
  for await (const frame of monitor.frames) {
    if (frame.kind === 'exit') {
      t.is(frame.code, 3)
      break
    }
    text += Buffer.from(frame.bytes).toString()
    if (text.endsWith('end\n')) bench.runtime.kill(id, 'SIGTERM')
  }
  t.is(text, 'hello\nend\ngot\n')
  await bench.runtime.delete(id, { force: true })
})

test('exec, pause, stats', async t => {
  using bench = makeBench()
  const id = newId()
  const mounts = hostMounts()
  const config = bench.config(['sh', '-c', 'echo $$ > /tmp/first; sleep 1000'])
  await bench.runtime.create({ id, config, root: bench.root }, { supervision: watched(bench) })
  await bench.runtime.start(id)
  const lines: string[] = []
  const result = await bench.runtime.exec(
    id,
    {
      args: [
        'sh',
        '-c',
        'cat /tmp/first /proc/1/comm; readlink /proc/self/ns/pid /proc/1/ns/pid; exit 4',
      ],
    },
    { io: { kind: 'lines', onLine: line => lines.push(line) } },
  )
  t.is(result.code, 4)
  t.is(lines[0], '1')
  t.is(lines[2], lines[3])
  await bench.runtime.pause(id)
  t.is(bench.runtime.state(id)?.status, 'paused')
  await bench.runtime.resume(id)
  t.is(bench.runtime.state(id)?.status, 'running')
  t.log(bench.runtime.stats(id), bench.runtime.processes(id))
  bench.runtime.update(id, { memory: { limit: 64 << 20 } })
  await bench.runtime.delete(id, { force: true })
  t.is(hostMounts(), mounts)
  t.deepEqual(bench.leftovers(), [])
})

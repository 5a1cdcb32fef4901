// kill -9 of each process between the caller and a container, and what the next command then finds and removes.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import type { ExecutionContext } from 'ava'
import { sweepRuntime } from '../../src/runtime/sweep-runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { type ContainerBench, hostMounts, makeBench, processesWith } from './container-bench.ts'

const test = testWith({ root: true })
const program = path.join(import.meta.dirname, 'programs', 'run-container.ts')

interface Running {
  readonly kauri: ChildProcess
  readonly launcher: number
  readonly keeper: number
  readonly container: number
  /** Stands in the command line of every process of the container. */
  readonly word: string
}

let count = 0

/** A container with a process that ignores every signal and one that has left its session. */
async function start(bench: ContainerBench, t: ExecutionContext): Promise<Running> {
  const word = `1${process.pid}.${++count}`
  const script = `trap "" TERM INT HUP; setsid sleep ${word} & sleep ${word} & wait`
  const id = `test-${process.pid}-kill-${count}`
  const kauri = spawn(
    process.execPath,
    [program, bench.at('run'), JSON.stringify(bench.root), id, 'announce', 'sh', '-c', script],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.teardown(() => kauri.kill('SIGKILL'))
  const [line] = (await once(kauri.stdout, 'data')) as [Buffer]
  const container = Number(/started (\d+)/.exec(String(line))?.[1])
  const keeper = parentOf(container)
  t.true(await eventually(() => processesWith(word).length >= 3))
  return { kauri, container, keeper, launcher: parentOf(keeper), word }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

for (const victim of ['kauri', 'launcher', 'keeper', 'container'] as const)
  test(`kill -9 of the ${victim} leaves no process, and nothing after the next sweep`, async t => {
    using bench = makeBench()
    const mounts = hostMounts()
    const running = await start(bench, t)
    const ended = once(running.kauri, 'exit')
    process.kill(victim === 'kauri' ? Number(running.kauri.pid) : running[victim], 'SIGKILL')
    await ended
    t.true(await eventually(() => processesWith(running.word).length === 0))
    t.is(hostMounts(), mounts)
    await sweepRuntime(bench.at('run'))
    t.deepEqual(readdirSync(bench.at('run/runtime')), [])
    t.deepEqual(
      readdirSync(bench.at()).filter(name => name.endsWith('.mounts')),
      [],
    )
    t.false(cgroupsOf(`test-${process.pid}-kill`).length > 0)
  })

function cgroupsOf(prefix: string): string[] {
  const top = '/sys/fs/cgroup'
  return readdirSync(top)
    .map(name => path.join(top, name, 'kauri'))
    .filter(directory => existsSync(directory))
    .flatMap(directory => readdirSync(directory))
    .filter(name => name.startsWith(prefix))
}

test('kill -9 at any moment of a start leaves nothing after the next sweep', async t => {
  using bench = makeBench()
  for (let round = 0; round < 12; round++) {
    const id = `test-${process.pid}-moment-${round}`
    const word = `2${process.pid}.${round}`
    const kauri = spawn(
      process.execPath,
      [program, bench.at('run'), JSON.stringify(bench.root), id, 'quiet', 'sleep', word],
      { stdio: 'ignore' },
    )
    const ended = once(kauri, 'exit')
    // From the first line of JavaScript to the running container.
    await new Promise(resolve => setTimeout(resolve, 60 + round * 12))
    kauri.kill('SIGKILL')
    await ended
    t.true(await eventually(() => processesWith(word).length === 0))
    await sweepRuntime(bench.at('run'))
  }
  t.deepEqual(cgroupsOf(`test-${process.pid}-moment`), [])
  t.deepEqual(
    readdirSync(bench.at()).filter(name => name.endsWith('.mounts')),
    [],
  )
})

test('a sweep leaves running containers alone', async t => {
  using bench = makeBench()
  const running = await start(bench, t)
  await sweepRuntime(bench.at('run'))
  t.true(processesWith(running.word).length >= 3)
  t.is(readdirSync(bench.at('run/runtime')).length, 1)
  const ended = once(running.kauri, 'exit')
  process.kill(running.container, 'SIGKILL')
  t.deepEqual(await ended, [137, null])
})

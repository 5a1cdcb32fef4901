// kill -9 of each process of a detached container, and of who makes it, at any moment: what is left is told truly, and the
// next sweep removes it. KAURI_KILL_ROUNDS makes the run long.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { namesIn } from '../../src/core/directory-names.ts'
import { tryLockFile } from '../../src/native/file-lock.ts'
import type { ContainerStatus } from '../../src/runtime/container-runtime.ts'
import { sweepRuntime } from '../../src/runtime/sweep-runtime.ts'
import { eventually } from '../helpers/eventually.ts'
import { testWith } from '../helpers/needs.ts'
import { processesWith } from './container-bench.ts'
import { type LifeBench, makeLifeBench } from './life-bench.ts'

const test = testWith({ root: true })
const program = path.join(import.meta.dirname, 'programs', 'create-container.ts')
const rounds = Number(process.env['KAURI_KILL_ROUNDS'] ?? 20)
/** Each takes the start of a Node. */
const makerRounds = Math.ceil(rounds / 3)

let count = 0
const next = (): { id: string; word: string } => ({
  id: `test-${process.pid}-kill-life-${++count}`,
  word: `8${process.pid}.${count}`,
})

/** A process that makes a container; the container has a child that has left its session. */
function make(bench: LifeBench, id: string, word: string): ChildProcess {
  const script = `trap "" TERM; setsid sleep ${word} & sleep ${word} & wait`
  const args = [program, bench.runRoot, JSON.stringify(bench.root), id, bench.at(`${id}.lock`)]
  return spawn(process.execPath, [...args, 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

async function made(bench: LifeBench, id: string, word: string): Promise<ContainerStatus> {
  const maker = make(bench, id, word)
  const output: Buffer[] = []
  maker.stdout?.on('data', (chunk: Buffer) => output.push(chunk))
  await once(maker, 'close')
  return JSON.parse(Buffer.concat(output).toString()) as ContainerStatus
}

function isLocked(bench: LifeBench, id: string): boolean {
  using lock = tryLockFile(bench.at(`${id}.lock`), 'exclusive')
  return lock === undefined
}

for (const victim of ['monitor', 'keeper', 'container'] as const)
  test(`kill -9 of the ${victim} ends the container with all its processes`, async t => {
    await using bench = makeLifeBench()
    const { id, word } = next()
    const { pid, monitorPid = 0 } = await made(bench, id, word)
    t.true(await eventually(() => processesWith(word).length === 3))
    t.true(isLocked(bench, id))
    const victims = { monitor: monitorPid, keeper: parentOf(pid), container: pid }
    process.kill(victims[victim], 'SIGKILL')
    t.true(await eventually(() => processesWith(word).length === 0))
    t.true(await eventually(() => !isLocked(bench, id)))
    t.true(await eventually(() => bench.runtime.state(id)?.status === 'stopped'))
    t.is((await bench.runtime.wait(id)).code, 137)
    t.is(bench.runtime.state(id)?.exit?.code, victim === 'monitor' ? undefined : 137)
    await sweepRuntime(bench.runRoot)
    await bench.runtime.delete(id)
    t.deepEqual(namesIn(path.join(bench.runRoot, 'runtime')), [])
    t.deepEqual(bench.runtime.list(), [])
  })

test('a sweep leaves containers alone whose maker is gone', async t => {
  await using bench = makeLifeBench()
  const { id, word } = next()
  await made(bench, id, word)
  await sweepRuntime(bench.runRoot)
  t.is(bench.runtime.state(id)?.status, 'running')
  t.is(processesWith(word).length, 3)
  t.true(isLocked(bench, id))
  await bench.runtime.delete(id, { force: true })
  t.true(await eventually(() => !isLocked(bench, id)))
})

test('kill -9 of the maker at any moment leaves a container that is whole, or nothing', async t => {
  await using bench = makeLifeBench()
  const warm = next()
  const before = performance.now()
  await made(bench, warm.id, warm.word)
  const tookMs = performance.now() - before
  await bench.runtime.delete(warm.id, { force: true })
  let whole = 0
  for (let round = 0; round < makerRounds; round++) {
    const { id, word } = next()
    const maker = make(bench, id, word)
    const ended = once(maker, 'close')
    // Most of the time is Node's start; what matters comes in the last half, and a little behind.
    await new Promise(resolve => setTimeout(resolve, tookMs * (0.45 + ((round * 7) % 20) / 32)))
    maker.kill('SIGKILL')
    await ended
    // Whoever was not adopted goes with the maker.
    t.true(await eventually(() => !isLocked(bench, id) || bench.runtime.state(id)?.pid !== 0))
    await sweepRuntime(bench.runRoot)
    const state = bench.runtime.state(id)
    if (state !== undefined && state.status !== 'stopped') {
      whole++
      t.true(isLocked(bench, id))
      t.is(bench.runtime.processes(id).length > 0, true)
    }
    if (state !== undefined) await bench.runtime.delete(id, { force: true })
    t.true(await eventually(() => processesWith(word).length === 0))
    t.true(await eventually(() => !isLocked(bench, id)))
  }
  t.log(`${whole} of ${makerRounds} containers were whole`)
  t.deepEqual(namesIn(path.join(bench.runRoot, 'runtime')), [])
  t.deepEqual(bench.runtime.list(), [])
})

test('kill -9 of monitors, keepers and containers, whichever comes, leaves nothing', async t => {
  await using bench = makeLifeBench()
  for (let round = 0; round < rounds; round++) {
    const { id, word } = next()
    const { pid, monitorPid = 0 } = await bench.started([
      'sh',
      '-c',
      `sleep ${word} & sleep ${word} & wait`,
    ])
    const victims = [monitorPid, parentOf(pid), pid]
    process.kill(victims[round % victims.length] ?? 0, 'SIGKILL')
    t.true(await eventually(() => processesWith(word).length === 0), id)
  }
  t.true(await eventually(() => bench.runtime.list().every(({ status }) => status === 'stopped')))
  t.true(
    await eventually(async () => {
      await sweepRuntime(bench.runRoot)
      return namesIn(path.join(bench.runRoot, 'runtime')).length === 0
    }),
  )
  for (const { id } of bench.runtime.list()) await bench.runtime.delete(id)
  t.deepEqual(bench.leftovers(), [])
})

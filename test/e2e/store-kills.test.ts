// kill -9 at random moments of everything that writes to the store: after the next command nothing is wrong with it, and
// nothing is left. KAURI_KILLS=500 makes it many, KAURI_KILL_SEED repeats a run.

import { existsSync, lstatSync, lutimesSync, readdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import { type KauriProgram, kauriProgram } from '../helpers/kauri-program.ts'
import { testWith } from '../helpers/needs.ts'
import { serveRegistry } from '../helpers/registry-server.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { prepareWritings, type Writing, type Writings } from './programs/store-kills.ts'

const kills = Number(process.env['KAURI_KILLS'] ?? 20)
const seed = Number(process.env['KAURI_KILL_SEED'] ?? Date.now() % 1_000_000)

/** Numbers from 0 to 1, the same ones for the same seed. */
function* fractions(start: number): Generator<number, never> {
  for (let state = start; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state / 2 ** 32
  }
}

/** Runs a command and ends it after that time; true where it was done before. */
async function runAndKill(
  kauri: KauriProgram,
  writing: Writing,
  afterMs: number,
): Promise<boolean> {
  const child = kauri.start(writing.args)
  const closed = new Promise<number | null>(resolve => child.once('close', resolve))
  child.stdin?.on('error', () => {})
  child.stdin?.end(writing.input)
  child.stdout?.resume()
  child.stderr?.resume()
  await Promise.race([sleep(afterMs), closed])
  child.kill('SIGKILL')
  return (await closed) === 0
}

async function checkStore(t: ExecutionContext, kauri: KauriProgram, about: string): Promise<void> {
  const { code, stdout, stderr } = await kauri.run(['fsck', '--json'])
  t.is(code, 0, `${about}: ${stdout} ${stderr}`)
  t.deepEqual(JSON.parse(stdout).findings, [], about)
}

async function timeOf(kauri: KauriProgram, { args, input }: Writing): Promise<number> {
  const startedMs = performance.now()
  await kauri.run(args, input === undefined ? {} : { input })
  return performance.now() - startedMs
}

function temporariesBelow(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter(name => path.basename(name).startsWith('.kauri-tmp-') || name.startsWith('oci/ingest/'))
    .map(name => path.join(directory, name))
}

function makeOld(file: string): void {
  const before = Date.now() / 1000 - 7200
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) lutimesSync(file, before, before)
}

interface KillRun {
  readonly kauri: KauriProgram
  readonly writings: Writings
  /** Names that must be there. */
  readonly kept: Set<string>
}

interface Turn {
  readonly turn: number
  readonly word: string
  readonly afterMs: number
}

/** Ends a command in the middle, and looks at the store behind the next one; true where it was done before. */
async function killOnce(
  t: ExecutionContext,
  run: KillRun,
  { turn, word, afterMs }: Turn,
): Promise<boolean> {
  const { kauri, writings, kept } = run
  const writing = writings[word]?.(turn) ?? { args: [], makes: [] }
  const about = `kill ${turn} of ${word} after ${Math.round(afterMs)} ms`
  const isDone = await runAndKill(kauri, writing, afterMs)
  if (isDone && ['tag', 'import'].includes(word)) for (const name of writing.makes) kept.add(name)
  const next = await kauri.run(['tag', 'seed', 'next:1'])
  t.is(next.code, 0, `${about}: ${next.stderr}`)
  await checkStore(t, kauri, about)
  // So that there is something to be done the next time.
  if (['pull', 'load'].includes(word)) await kauri.run(['rmi', '-f', ...writing.makes])
  return isDone
}

/** Ends one command after another; tells how many were done before. */
async function killAll(t: ExecutionContext, run: KillRun): Promise<number> {
  const words = Object.keys(run.writings)
  const durations = new Map<string, number>()
  const random = fractions(seed)
  let done = 0
  for (let turn = 0; turn < kills; turn++) {
    const word = words[turn % words.length] ?? ''
    // The first time tells how long it takes here, and now.
    const first = durations.has(word) ? undefined : run.writings[word]?.(kills + turn)
    if (first !== undefined) durations.set(word, await timeOf(run.kauri, first))
    const afterMs = random.next().value * (durations.get(word) ?? 0)
    if (await killOnce(t, run, { turn, word, afterMs })) done++
  }
  return done
}

testWith({ root: true })('kill -9 at any moment loses nothing and leaves nothing', async t => {
  t.timeout(600_000 + kills * 12_000)
  t.log(`KAURI_KILL_SEED=${seed}`)
  using kauri = kauriProgram()
  using scratch = makeScratch()
  await using registry = await serveRegistry()
  const writings = await prepareWritings({ kauri, registry, directory: scratch.path })
  const kept = new Set(['seed:latest'])
  const done = await killAll(t, { kauri, writings, kept })
  t.log(`${done} of ${kills} were done before they were killed`)
  const verified = await kauri.run(['verify', ...kept])
  t.is(verified.code, 0, verified.stderr)
  for (const file of temporariesBelow(kauri.dataRoot)) makeOld(file)
  t.is((await kauri.run(['gc'])).code, 0)
  t.deepEqual(temporariesBelow(kauri.dataRoot), [])
  await checkStore(t, kauri, 'at the end')
})

// Runs commands and measures them. Comparisons are interleaved: what slows the machine for a while slows both sides.

import { spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface Command {
  readonly argv: readonly string[]
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>
  /** Becomes standard input; empty otherwise. */
  readonly input?: string
}

export interface Outcome {
  readonly seconds: number
  readonly stdout: string
  /** Peak resident set of the command's own process, not of its children, in bytes. */
  readonly peakBytes: number
}

const keptCharacters = 64 * 1024
const pollMs = 5

/** Path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin']
  return directories.map(directory => path.join(directory, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Runs a command that must succeed. */
export async function runCommand(command: Command, signal: AbortSignal): Promise<Outcome> {
  signal.throwIfAborted()
  const [program = '', ...args] = command.argv
  const startedMs = performance.now()
  const child = spawn(program, args, {
    env: { ...process.env, ...command.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
  })
  let stdout = ''
  let stderr = ''
  let peakBytes = 0
  child.stdin.on('error', () => {})
  child.stdin.end(command.input)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-keptCharacters)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-keptCharacters)
  })
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, peakOf(child.pid))
  }, pollMs)
  try {
    const status = await new Promise<number | string>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, name) => resolve(code ?? name ?? 'unknown'))
    })
    const seconds = (performance.now() - startedMs) / 1000
    if (status !== 0)
      throw new Error(`${command.argv.join(' ')} ended with ${status}:\n${stderr || stdout}`)
    return { seconds, stdout, peakBytes }
  } finally {
    clearInterval(timer)
  }
}

function peakOf(pid: number | undefined): number {
  try {
    const [, kilobytes = '0'] =
      /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kilobytes) * 1024
  } catch {
    return 0
  }
}

/** Something to measure, again and again; `round` counts from 0, which is the warm-up. */
export interface Contender {
  readonly name: string
  /** Prepares a round; not measured. */
  readonly prepare?: (round: number) => Promise<void>
  /** One round; the result is what was measured, in seconds. */
  readonly measure: (round: number) => Promise<number>
}

/** Medians of each contender over `rounds` rounds after one of warm-up, in turns. */
export async function medianOfRounds(
  contenders: readonly Contender[],
  rounds: number,
): Promise<ReadonlyMap<string, number>> {
  const times = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    // The order turns, so that nobody always runs behind the same neighbour.
    const order = round % 2 === 0 ? contenders : contenders.toReversed()
    for (const { name, prepare, measure } of order) {
      await prepare?.(round)
      const seconds = await measure(round)
      if (round > 0) times.get(name)?.push(seconds)
    }
  }
  return new Map([...times].map(([name, list]) => [name, median(list)]))
}

/** Medians in seconds of short commands by hyperfine, in several turns; undefined without hyperfine. */
export async function medianByHyperfine(
  commands: Readonly<Record<string, Command>>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number> | undefined> {
  if (findProgram('hyperfine') === undefined) return undefined
  const contenders = Object.entries(commands).map(([name, command]) => ({
    name,
    measure: async () => median(await hyperfineTimes(command, signal)),
  }))
  return await medianOfRounds(contenders, 6)
}

/** Seconds of several runs of a short command, without a shell. */
export async function hyperfineTimes(
  command: Command,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kauri-hyperfine-'))
  try {
    const result = path.join(directory, 'result.json')
    const options = ['-N', '--warmup', '1', '--runs', '5', '--export-json', result]
    const line = command.argv.map(quoteWord).join(' ')
    const argv = ['hyperfine', ...options, line]
    await runCommand({ argv, env: command.env }, signal)
    const parsed: { results: { times: number[] }[] } = JSON.parse(await readFile(result, 'utf8'))
    return parsed.results.flatMap(({ times }) => times)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** hyperfine splits its argument as a shell would. */
function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

// Starts the launcher with a plan and follows it to its end. Plan and signals go to it over a socket, reports come back.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { constants } from 'node:os'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import { hasErrno, KauriError } from '../core/errors.ts'
import { compiledPath } from '../native/compile-native.ts'
import { readLines } from './container-output.ts'
import type { MadeEntry } from './mount-points.ts'
import { encodePlan, type PlanRecord } from './plan-writer.ts'
import type { ContainerIo, RunOptions } from './runtime.ts'

/** What the launcher told until it ended. */
export interface LaunchReport {
  /** Exit code of the container's first process; undefined where the launcher did not live to tell. */
  readonly exitCode: number | undefined
  readonly warnings: readonly string[]
  readonly made: readonly MadeEntry[]
  /** Why the container's program was not started. */
  readonly failure: KauriError | undefined
}

const controlFd = 3

/** Runs the plan; when it resolves nothing of the container is left but its cgroups. Abort kills everything in it. */
export async function launch(
  plan: readonly PlanRecord[],
  { io, signal, onStart }: RunOptions,
): Promise<LaunchReport> {
  const bytes = encodePlan(plan)
  const child = spawn(compiledPath('launcher'), ['run', String(process.pid)], {
    // A session of its own: what the user types reaches kauri alone, which passes on what is meant for the container.
    detached: true,
    env: {},
    cwd: '/',
    stdio: streamsFor(io),
  })
  const ended = endOf(child)
  const control = child.stdio[controlFd] as Duplex
  // The launcher may end before it has read everything; why, it reports.
  control.on('error', () => {})
  control.write(bytes)
  const kill = (): void => void control.end()
  signal?.addEventListener('abort', kill, { once: true })
  if (signal?.aborted) kill()
  writeInput(child, io)
  const report = reportReader(control, onStart)
  const reading = [readReports(control, report.onLine), ended]
  if (io.kind === 'lines' && child.stdout !== null) reading.push(readLines(child.stdout, io.onLine))
  try {
    await Promise.all(reading)
    return report.result()
  } catch (error) {
    // A watcher that throws must not leave the container running behind its back.
    kill()
    await ended
    throw error
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

/** A launcher that ends with a part of the plan unread resets the socket; its reports have come before. */
async function readReports(control: Duplex, onLine: (line: string) => void): Promise<void> {
  try {
    await readLines(control, onLine)
  } catch (error) {
    if (!hasErrno(error, 'ECONNRESET')) throw error
  }
}

function streamsFor(io: ContainerIo): StdioOptions {
  switch (io.kind) {
    case 'inherit':
    case 'terminal':
      return [io.input === false ? 'ignore' : 'inherit', 'inherit', 'inherit', 'pipe']
    case 'lines':
      return [io.input === undefined ? 'ignore' : 'pipe', 'pipe', 'ignore', 'pipe']
    default:
      return io satisfies never
  }
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('error', error =>
      reject(new KauriError('LAUNCH_FAILED', 'the launcher cannot be started', { cause: error })),
    )
    child.once('close', () => resolve())
  })
}

function writeInput({ stdin }: ChildProcess, io: ContainerIo): void {
  if (stdin === null || io.kind !== 'lines') return
  // A program need not read its input.
  stdin.on('error', () => {})
  stdin.end(io.input)
}

/** Codes by the second word of an `error` report. */
const codeByFailure = {
  launch: 'LAUNCH_FAILED',
  network: 'NETWORK_UNAVAILABLE',
  'not-found': 'COMMAND_NOT_FOUND',
  'not-executable': 'COMMAND_NOT_EXECUTABLE',
} as const

interface ReportReader {
  readonly onLine: (line: string) => void
  readonly result: () => LaunchReport
}

/** Lines of launcher/report.h: `kind text`. */
function reportReader(control: Duplex, onStart: RunOptions['onStart']): ReportReader {
  const warnings: string[] = []
  const made: MadeEntry[] = []
  let exitCode: number | undefined
  let failure: KauriError | undefined
  const onLine = (line: string): void => {
    const [, kind = '', text = ''] = /^(\S+) (.*)$/.exec(line) ?? []
    if (kind === 'started') onStart?.({ pid: Number(text), kill: name => send(control, name) })
    else if (kind === 'ended') exitCode = Number(text)
    else if (kind === 'warning') warnings.push(text)
    else if (kind === 'made') made.push(parseMade(text))
    else if (kind === 'error') failure ??= parseFailure(text)
  }
  return { onLine, result: () => ({ exitCode, warnings, made, failure }) }
}

function send(control: Duplex, name: NodeJS.Signals): void {
  if (control.writable) control.write(Buffer.of(constants.signals[name]))
}

function parseMade(text: string): MadeEntry {
  const space = text.indexOf(' ')
  return {
    kind: text.slice(0, space) === 'file' ? 'file' : 'directory',
    path: text.slice(space + 1),
  }
}

function parseFailure(text: string): KauriError {
  const [, word = '', message = text] = /^(\S+) (.*)$/.exec(text) ?? []
  const code =
    word in codeByFailure ? codeByFailure[word as keyof typeof codeByFailure] : 'LAUNCH_FAILED'
  const hint = code === 'NETWORK_UNAVAILABLE' ? 'use --network none or --network host' : undefined
  return new KauriError(code, message, { hint })
}

// Starts the launcher with a plan and follows it to its end. Plan and signals go to it over a socket, reports come back.

import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import process from 'node:process'
import type { Duplex } from 'node:stream'
import { hasErrno, KauriError } from '../core/errors.ts'
import { compiledPath } from '../native/compile-native.ts'
import { readLines } from './container-output.ts'
import { type LaunchReport, reportReader } from './launcher-reports.ts'
import { encodePlan, type PlanRecord } from './plan-writer.ts'
import type { ContainerIo, RunOptions } from './runtime.ts'

/** What the launcher is to do with the plan (launcher/supervise.h). */
export type LaunchMode = 'run' | 'monitor' | 'create' | 'exec'

const controlFd = 3

export interface Launcher {
  readonly child: ChildProcess
  /** Plan and signals go out, reports come in; its end kills what was started. */
  readonly control: Duplex
  readonly ended: Promise<void>
}

interface LauncherStreams {
  readonly streams: readonly ('ignore' | 'inherit' | 'pipe')[]
  readonly more?: readonly ('pipe' | number)[]
}

/** Starts the launcher; the first of `more` is descriptor 4 there. */
export function startLauncher(
  mode: LaunchMode,
  plan: readonly PlanRecord[],
  { streams, more = [] }: LauncherStreams,
): Launcher {
  const bytes = encodePlan(plan)
  const child = spawn(compiledPath('launcher'), [mode, String(process.pid)], {
    // A session of its own: what the user types reaches kauri alone, which passes on what is meant for the container.
    detached: true,
    env: {},
    cwd: '/',
    stdio: [...streams, 'pipe', ...more],
  })
  const ended = endOf(child)
  const control = child.stdio[controlFd] as Duplex
  // The launcher may end before it has read everything; why, it reports.
  control.on('error', () => {})
  control.write(bytes)
  return { child, control, ended }
}

/** Runs the plan; when it resolves nothing of the container is left but its cgroups. Abort kills everything in it. */
export async function launch(
  plan: readonly PlanRecord[],
  { io, signal, onStart }: RunOptions,
  mode: 'run' | 'exec' = 'run',
): Promise<LaunchReport> {
  const { child, control, ended } = startLauncher(mode, plan, { streams: streamsFor(io) })
  const kill = (): void => void control.end()
  signal?.addEventListener('abort', kill, { once: true })
  if (signal?.aborted) kill()
  writeInput(child, io)
  const report = reportReader({
    onStarted: pid => onStart?.({ pid, kill: name => send(control, name) }),
  })
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
export async function readReports(control: Duplex, onLine: (line: string) => void): Promise<void> {
  try {
    await readLines(control, onLine)
  } catch (error) {
    if (!hasErrno(error, 'ECONNRESET') && !isPremature(error)) throw error
  }
}

/** This process has closed its side while it was read. */
function isPremature(error: unknown): boolean {
  return hasErrno(error, 'ERR_STREAM_PREMATURE_CLOSE')
}

function streamsFor(io: ContainerIo): LauncherStreams['streams'] {
  switch (io.kind) {
    case 'inherit':
    case 'terminal':
      return [io.input === false ? 'ignore' : 'inherit', 'inherit', 'inherit']
    case 'lines':
      return [io.input === undefined ? 'ignore' : 'pipe', 'pipe', 'ignore']
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

function send(control: Duplex, name: NodeJS.Signals): void {
  if (control.writable) control.write(Buffer.of(constants.signals[name]))
}

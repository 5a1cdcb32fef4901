// Runs programs of the host: argument arrays only, bounded output, ended with the signal.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { createInterface } from 'node:readline'
import { type ErrorCode, hasErrno, KauriError } from './errors.ts'

export interface ProcessOptions {
  readonly cwd?: string
  /** The whole environment; nothing is inherited unless it is named here. */
  readonly env: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  readonly signal?: AbortSignal | undefined
  /** Receives each line of both outputs as it comes. */
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void
  /** Descriptors beyond the three standard ones, handed down as 3, 4 … */
  readonly extraFds?: readonly number[]
  /** The line that installs the program, shown where it is missing. */
  readonly installHint?: string
}

export interface ProcessResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const maxKeptBytes = 64 * 1024 * 1024

/** Runs a program to its end; a non-zero exit is a result, not an error. @throws PREREQUISITE_MISSING, CANCELLED */
export async function runProcess(
  command: readonly string[],
  options: ProcessOptions,
): Promise<ProcessResult> {
  options.signal?.throwIfAborted()
  const [program = '', ...args] = command
  const stdio: StdioOptions = ['pipe', 'pipe', 'pipe', ...(options.extraFds ?? [])]
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...options.env },
    stdio,
    detached: true,
  })
  const kill = (): void => killGroup(child)
  options.signal?.addEventListener('abort', kill, { once: true })
  try {
    const ended = waitForExit(child)
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input)
    const [stdout, stderr, exitCode] = await Promise.all([
      collect(child, 'stdout', options),
      collect(child, 'stderr', options),
      ended,
    ])
    options.signal?.throwIfAborted()
    return { exitCode, stdout, stderr }
  } catch (error) {
    if (options.signal?.aborted) throw cancelled(options.signal)
    // A missing directory is reported as if the program were missing.
    if (hasErrno(error, 'ENOENT') && (options.cwd === undefined || existsSync(options.cwd)))
      throw new KauriError('PREREQUISITE_MISSING', `the program ${program} is not installed`, {
        hint: options.installHint,
        cause: error,
      })
    throw error
  } finally {
    options.signal?.removeEventListener('abort', kill)
  }
}

/** Runs a program that must succeed. @throws `code` with the last lines it printed */
export async function runChecked(
  command: readonly string[],
  options: ProcessOptions & { readonly code?: ErrorCode; readonly what: string },
): Promise<ProcessResult> {
  const result = await runProcess(command, options)
  if (result.exitCode === 0) return result
  const tail = lastLines(result.stderr || result.stdout, 15)
  throw new KauriError(
    options.code ?? 'PROCESS_FAILED',
    `${options.what} failed with exit code ${result.exitCode}${tail === '' ? '' : `:\n${tail}`}`,
  )
}

/** The last lines of a text that are not empty. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .slice(-count)
    .join('\n')
}

/** The error of work that the user, or a failure beside it, stopped. */
export function cancelled(signal: AbortSignal): KauriError {
  return signal.reason instanceof KauriError
    ? signal.reason
    : new KauriError('CANCELLED', 'stopped', { cause: signal.reason })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    child.kill('SIGKILL')
  }
}

function waitForExit(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    )
  })
}

async function collect(
  child: ChildProcess,
  name: 'stdout' | 'stderr',
  { onLine }: ProcessOptions,
): Promise<string> {
  const stream = child[name]
  if (stream === null) return ''
  let kept = ''
  if (onLine === undefined) {
    stream.setEncoding('utf8')
    for await (const chunk of stream) if (kept.length < maxKeptBytes) kept += chunk as string
    return kept
  }
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    onLine(line, name)
    if (kept.length < maxKeptBytes) kept += `${line}\n`
  }
  return kept
}

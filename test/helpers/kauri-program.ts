// bin/kauri as a person starts it, with a state directory of the test's own.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'

export interface ProgramResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ProgramInput {
  readonly input?: string | Uint8Array
  readonly env?: Readonly<Record<string, string>>
  /** A program that starts the one whose words follow its own, such as `unshare --mount`. */
  readonly through?: readonly string[]
}

export interface KauriProgram extends Disposable {
  readonly dataRoot: string
  readonly runRoot: string
  /** Runs to the end. */
  run(args: readonly string[], input?: ProgramInput): Promise<ProgramResult>
  /** Starts it; standard output is a pipe. */
  start(args: readonly string[], input?: Omit<ProgramInput, 'input'>): ChildProcess
  /** Mounts, processes and cgroups of the machine that name this state, or its containers. */
  traces(): string[]
}

const program = path.resolve(import.meta.dirname, '../../bin/kauri')

/** `using kauri = kauriProgram()` */
export function kauriProgram(): KauriProgram {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-e2e-'))
  const dataRoot = path.join(directory, 'data')
  const runRoot = path.join(directory, 'run')
  const environment = { ...process.env, KAURI_DATA_ROOT: dataRoot, KAURI_RUN_ROOT: runRoot }
  const start = (args: readonly string[], { env, through = [] }: ProgramInput = {}) => {
    const [first = program, ...rest] = [...through, program, ...args]
    return spawn(first, rest, { env: { ...environment, ...env }, stdio: 'pipe' })
  }
  return {
    dataRoot,
    runRoot,
    start,
    async run(args, input = {}) {
      const child = start(args, input)
      child.stdin.on('error', () => {})
      child.stdin.end(input.input ?? '')
      const [stdout, stderr, code] = await Promise.all([
        textOf(child.stdout),
        textOf(child.stderr),
        new Promise<number | null>(resolve => child.once('close', resolve)),
      ])
      return { code, stdout, stderr }
    },
    traces: () => tracesOf(directory),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}

function tracesOf(directory: string): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return [
    ...mounts.filter(line => line.includes(directory)),
    ...processesOf(directory),
    ...containersIn(directory).filter(id => hasCgroup(id)),
  ]
}

function processesOf(directory: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && name !== String(process.pid))
    .map(pid => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8')
        const isOurs = environment.includes(directory)
        return isOurs ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') : ''
      } catch {
        return ''
      }
    })
    .filter(line => line !== '')
}

function containersIn(directory: string): string[] {
  const containers = path.join(directory, 'data/containers')
  if (!existsSync(containers)) return []
  return readdirSync(containers)
    .map(name => name.slice(0, 64))
    .filter(name => name.length === 64)
}

/** A cgroup of the container's in any hierarchy. */
function hasCgroup(id: string): boolean {
  const root = '/sys/fs/cgroup'
  return readdirSync(root, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .some(({ name }) => existsSync(path.join(root, name, 'kauri', id)))
}

// A place to run containers in: a small root below an overlay, a runtime with its own state, and the host's look before
// and after, so that a test can say that nothing is left.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { RuntimeConfig } from '../../src/oci/runtime-config.ts'
import { createBuiltinRuntime } from '../../src/runtime/builtin-runtime.ts'
import { readCgroupLayout } from '../../src/runtime/cgroup-layout.ts'
import type { ContainerRuntime } from '../../src/runtime/container-runtime.ts'
import {
  type DefaultConfigOptions,
  defaultRuntimeConfig,
} from '../../src/runtime/default-config.ts'
import type { ContainerExit, RootMount, RunOptions } from '../../src/runtime/runtime.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { smallRoot } from './small-root.ts'

export interface RunResult extends ContainerExit {
  readonly lines: readonly string[]
  /** Of `lines`, for comparison as a whole. */
  readonly text: string
  readonly warnings: readonly string[]
}

export interface ContainerBench extends Disposable {
  readonly runtime: ContainerRuntime
  readonly root: RootMount & { readonly kind: 'overlay' }
  readonly upper: string
  /** A layer of the bench's own on top of the small root. */
  readonly lower: string
  /** A path in the bench's own directory. */
  at(...parts: readonly string[]): string
  config(command: readonly string[], options?: Partial<DefaultConfigOptions>): RuntimeConfig
  /** Runs a shell script. */
  sh(script: string, options?: Partial<DefaultConfigOptions>): Promise<RunResult>
  run(
    config: RuntimeConfig,
    how?: Partial<RunOptions> & {
      readonly root?: RootMount
      readonly onLine?: (line: string) => void
    },
  ): Promise<RunResult>
  /** What this bench's containers have on the host now: cgroups, records, mount points. */
  leftovers(): readonly string[]
}

let count = 0

/** `using bench = makeBench()` */
export function makeBench(): ContainerBench {
  const scratch = makeScratch()
  const lower = scratch.at('lower')
  const upper = scratch.at('upper')
  const work = scratch.at('work')
  for (const directory of ['bin', 'etc'])
    mkdirSync(path.join(lower, directory), { recursive: true })
  mkdirSync(upper)
  mkdirSync(work)
  const runRoot = scratch.at('run')
  const runtime = createBuiltinRuntime({ runRoot, cacheRoot: scratch.at('cache') })
  const root = {
    kind: 'overlay',
    lower: [lower, smallRoot()],
    upper,
    work,
    volatile: true,
  } as const
  const prefix = `test-${process.pid}-${++count}`
  let runs = 0

  const config: ContainerBench['config'] = (command, options = {}) =>
    defaultRuntimeConfig({ args: command, env: ['PATH=/bin'], network: 'none', ...options })

  const run: ContainerBench['run'] = async (wanted, how = {}) => {
    const lines: string[] = []
    const warnings: string[] = []
    const exit = await runtime.run(
      { id: `${prefix}-${++runs}`, config: wanted, root: how.root ?? root },
      {
        io: {
          kind: 'lines',
          onLine(line) {
            lines.push(line)
            how.onLine?.(line)
          },
        },
        emit: event => event.kind === 'warning' && warnings.push(event.message),
        ...how,
      },
    )
    return { ...exit, lines, text: lines.join('\n'), warnings }
  }

  return {
    runtime,
    root,
    upper,
    lower,
    at: (...parts) => scratch.at(...parts),
    config,
    run,
    sh: (script, options) => run(config(['sh', '-c', script], options)),
    leftovers: () => [
      ...cgroupsNamed(prefix),
      ...listIfThere(path.join(runRoot, 'runtime')),
      ...listIfThere(scratch.path).filter(name => name.endsWith('.mounts')),
    ],
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

function cgroupsNamed(prefix: string): string[] {
  return readCgroupLayout().hierarchies.flatMap(({ version, mountPoint, ownDirectory }) => {
    const parent = path.join(version === 2 ? mountPoint : ownDirectory, 'kauri')
    return listIfThere(parent).filter(name => name.startsWith(prefix))
  })
}

function listIfThere(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Mounts of this process's namespace that look like a container's or a test's; others come and go on a host in use. */
export function hostMounts(): string {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter(line => /\/proc\/self\/fd\/|kauri-/.test(line))
    .join('\n')
}

/** Ids of processes whose command line has `word`. */
export function processesWith(word: string): readonly number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && commandLine(name).includes(word))
    .map(Number)
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Compiles a C program, to a static executable unless the flags say otherwise. */
export function compileProgram(
  target: string,
  source: string,
  flags: readonly string[] = ['-static'],
): void {
  execFileSync('cc', ['-O1', '-xc', '-', '-o', target, ...flags], { input: source })
}

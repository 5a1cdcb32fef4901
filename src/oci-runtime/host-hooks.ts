// Hooks that run in the runtime's own namespaces: prestart, createRuntime, poststart, poststop (runtime-spec v1.2.1
// config.md#posix-platform-hooks). Each gets the container's state on its standard input.

import { spawn } from 'node:child_process'
import process from 'node:process'
import { KauriError } from '../core/errors.ts'
import type { HookConfig } from '../oci/runtime-config.ts'

/** How much of what a failed hook says is told. */
const maxOutputBytes = 4096

/** What all hooks of one moment share. */
export interface HookRun {
  /** JSON for their standard input. */
  readonly state: string
  /** Their working directory. */
  readonly bundle: string
}

/** Runs hooks one after the other. @throws LAUNCH_FAILED at the first that fails */
export async function runHooks(
  name: string,
  hooks: readonly HookConfig[] = [],
  run: HookRun,
): Promise<void> {
  for (const hook of hooks) {
    const problem = await runHook(hook, run)
    if (problem !== undefined) throw new KauriError('LAUNCH_FAILED', `${name} hook ${problem}`)
  }
}

/** The same where a failure is a warning and the others go on (runtime.md#lifecycle, step 13). */
export async function runHooksOrWarn(
  name: string,
  hooks: readonly HookConfig[] = [],
  run: HookRun & { readonly warn: (message: string) => void },
): Promise<void> {
  for (const hook of hooks) {
    const problem = await runHook(hook, run)
    if (problem !== undefined) run.warn(`${name} hook ${problem}`)
  }
}

/** What went wrong, or undefined. */
async function runHook(
  hook: HookConfig,
  { state, bundle: cwd }: HookRun,
): Promise<string | undefined> {
  const { path, args = [path], env, timeout } = hook
  const child = spawn(path, args.slice(1), {
    argv0: args[0] ?? path,
    cwd,
    // A hook that names no environment gets that of the engine.
    env: env === undefined ? process.env : Object.fromEntries(env.map(splitVariable)),
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.on('data', (bytes: Buffer) => {
    output = `${output}${bytes.toString()}`.slice(0, maxOutputBytes)
  })
  // A hook need not read its input.
  child.stdin.on('error', () => {})
  child.stdin.end(state)
  return await new Promise(resolve => {
    const timer =
      timeout === undefined
        ? undefined
        : setTimeout(() => {
            child.kill('SIGKILL')
            resolve(`did not end within ${timeout} s: ${path}`)
          }, timeout * 1000)
    child.once('error', error => resolve(`cannot be run: ${path}: ${error.message}`))
    // Not `close`: what a hook leaves running in the background may hold its streams.
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      child.stderr.destroy()
      const said = output.trim() === '' ? '' : `: ${output.trim()}`
      if (code === 0) resolve(undefined)
      else resolve(`failed with ${signal ?? `exit code ${code}`}: ${path}${said}`)
    })
  })
}

function splitVariable(variable: string): [name: string, value: string] {
  const equals = variable.indexOf('=')
  return equals < 0 ? [variable, ''] : [variable.slice(0, equals), variable.slice(equals + 1)]
}

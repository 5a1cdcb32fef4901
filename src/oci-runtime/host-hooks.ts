// Hooks that run in the runtime's own namespaces: prestart, createRuntime, poststart, poststop (runtime-spec v1.2.1
// config.md#posix-platform-hooks). Each gets the container's state on its standard input.

import { spawn } from 'node:child_process'
import { KauriError } from '../core/errors.ts'
import type { Emit } from '../core/events.ts'
import type { HookConfig } from '../oci/runtime-config.ts'

/** How much of what a failed hook says is told. */
const maxOutputBytes = 4096

/** Runs hooks one after the other. @throws LAUNCH_FAILED at the first that fails */
export async function runHooks(
  name: string,
  hooks: readonly HookConfig[] = [],
  state: string,
): Promise<void> {
  for (const hook of hooks) {
    const problem = await runHook(hook, state)
    if (problem !== undefined)
      throw new KauriError('LAUNCH_FAILED', `the ${name} hook ${hook.path} ${problem}`)
  }
}

/** The same where a failure is a warning and the others go on (runtime.md#lifecycle, step 13). */
export async function runHooksOrWarn(
  name: string,
  hooks: readonly HookConfig[] = [],
  { state, emit }: { readonly state: string; readonly emit: Emit },
): Promise<void> {
  for (const hook of hooks) {
    const problem = await runHook(hook, state)
    if (problem !== undefined)
      emit({ kind: 'warning', message: `the ${name} hook ${hook.path} ${problem}` })
  }
}

/** What went wrong, or undefined. */
async function runHook(hook: HookConfig, state: string): Promise<string | undefined> {
  const { path, args = [path], env = [], timeout } = hook
  const child = spawn(path, args.slice(1), {
    argv0: args[0] ?? path,
    env: Object.fromEntries(env.map(variable => splitVariable(variable))),
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
            resolve(`did not end within ${timeout} s`)
          }, timeout * 1000)
    child.once('error', error => resolve(`cannot be run: ${error.message}`))
    // Not `close`: what a hook leaves running in the background may hold its streams.
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      child.stderr.destroy()
      const said = output.trim() === '' ? '' : `: ${output.trim()}`
      if (code === 0) resolve(undefined)
      else resolve(`${signal === null ? `exited with ${code}` : `was ended by ${signal}`}${said}`)
    })
  })
}

function splitVariable(variable: string): [name: string, value: string] {
  const equals = variable.indexOf('=')
  return equals < 0 ? [variable, ''] : [variable.slice(0, equals), variable.slice(equals + 1)]
}

// A network's resolver: a short program of kauri's own that answers for names (answer-names.ts). The first container on a
// network starts it, and it ends with the last; who runs it holds a lock.

import { spawn } from 'node:child_process'
import { ftruncateSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Emit } from '../core/events.ts'
import { tryLockFile } from '../native/file-lock.ts'
import type { BridgeSpec } from './bridge-spec.ts'
import { resolverLock } from './remove-network.ts'

export interface ResolverStart {
  /** The host's address on the bridge. */
  readonly address: string
  readonly command: { readonly args: readonly string[]; readonly environment: readonly string[] }
  readonly emit?: Emit | undefined
}

/** Starts a resolver where none runs, and waits until it answers; without one the container has no names, which is a warning. */
export async function startResolver(spec: BridgeSpec, start: ResolverStart): Promise<void> {
  const lock = tryLockFile(resolverLock(spec), 'exclusive')
  if (lock === undefined) return
  // Not the number of an earlier one: whoever reads it ends that process.
  ftruncateSync(lock.fd)
  // From here on the lock is the new process's: descriptor 3.
  const [program = '', ...args] = start.command.args
  const child = spawn(program, args, {
    detached: true,
    cwd: '/',
    env: environmentOf(start.command.environment),
    stdio: ['ignore', 'pipe', 'ignore', lock.fd],
  })
  child.unref()
  const said = await firstLine(child.stdout as Socket)
  lock[Symbol.dispose]()
  if (said !== 'ready')
    start.emit?.({
      kind: 'warning',
      message: `names of containers lead nowhere: ${said || 'the resolver of the network did not start'}`,
    })
}

function environmentOf(variables: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    variables.map(variable => {
      const equals = variable.indexOf('=')
      return [variable.slice(0, equals), variable.slice(equals + 1)]
    }),
  )
}

/** What it says when it is ready, or why it is not; empty where it ended without a word. */
function firstLine(output: Socket): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    const done = (): void => {
      output.destroy()
      resolve(text.split('\n')[0] ?? '')
    }
    output.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      if (text.includes('\n')) done()
    })
    output.once('close', done)
    output.on('error', done)
  })
}

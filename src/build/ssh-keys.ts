// An ssh agent of kauri's own for keys that the caller names. OpenSSH's programs do it: they know every form of key. The
// agent dies with this process; the keys reach it over a pipe, so their files' modes do not matter.

import { readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasErrno, KauriError } from '../core/errors.ts'
import { runProcess } from '../core/process.ts'
import { guardCommand } from '../native/guard.ts'
import { defaultPath } from '../oci/image-config.ts'

export interface KeyAgent extends AsyncDisposable {
  readonly socket: string
}

interface AgentPlace {
  /** Holds the socket; nobody else may enter it. */
  readonly directory: string
  readonly index: number
  readonly signal: AbortSignal | undefined
}

const installHint = 'apt install openssh-client'
const environment = { PATH: defaultPath, LC_ALL: 'C' } as const
const firstWaitMs = 2
const longestWaitMs = 2000

/** Starts an agent and gives it the keys. @throws PREREQUISITE_MISSING without OpenSSH; USAGE for a file that holds no usable key */
export async function startKeyAgent(
  files: readonly string[],
  { directory, index, signal }: AgentPlace,
): Promise<KeyAgent> {
  const socket = path.join(directory, `agent-${index}`)
  const stopped = new AbortController()
  const command = [...guardCommand(), 'ssh-agent', '-D', '-a', path.basename(socket)]
  const ended = runProcess(command, {
    env: environment,
    cwd: directory,
    signal: stopped.signal,
    installHint,
  }).catch((error: unknown) => error)
  const agent: KeyAgent = {
    socket,
    async [Symbol.asyncDispose]() {
      stopped.abort()
      await ended
      rmSync(socket, { force: true })
    },
  }
  try {
    for (const file of files) await addKey(file, { socket, ended, signal })
    return agent
  } catch (error) {
    await agent[Symbol.asyncDispose]()
    throw error
  }
}

interface AgentUnderWay {
  readonly socket: string
  /** Resolves when the agent is gone. */
  readonly ended: Promise<unknown>
  readonly signal: AbortSignal | undefined
}

/** The agent needs a moment until it listens; ssh-add tells with exit code 2 that it could not reach it. */
async function addKey(file: string, { socket, ended, signal }: AgentUnderWay): Promise<void> {
  const key = readKey(file)
  const gone = ended.then(() => 'gone' as const)
  for (let waitMs = firstWaitMs; ; waitMs *= 2) {
    const { exitCode, stderr } = await runProcess([...guardCommand(), 'ssh-add', '-q', '-'], {
      env: { ...environment, SSH_AUTH_SOCK: path.basename(socket), SSH_ASKPASS_REQUIRE: 'never' },
      cwd: path.dirname(socket),
      input: key,
      signal,
      installHint,
    })
    if (exitCode === 0) return
    if (exitCode === 127) throw missingProgram('ssh-add')
    if (exitCode !== 2 || waitMs > longestWaitMs) throw unusableKey(file, stderr)
    if ((await Promise.race([gone, sleep(waitMs)])) === 'gone') throw missingProgram('ssh-agent')
  }
}

function readKey(file: string): Uint8Array {
  try {
    return readFileSync(file)
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR')) throw error
    throw new KauriError('USAGE', `the ssh key ${file} cannot be read`, { cause: error })
  }
}

function missingProgram(name: string): KauriError {
  return new KauriError('PREREQUISITE_MISSING', `the program ${name} is not installed`, {
    hint: installHint,
  })
}

/** What ssh-add says does not quote the key. */
function unusableKey(file: string, reason: string): KauriError {
  const line = reason.trim().split('\n')[0] ?? ''
  return new KauriError('USAGE', `${file} holds no ssh key that can be used: ${line}`, {
    hint: 'a key with a passphrase must be in an agent: ssh-add it there and use --ssh default',
  })
}

// A dockerd of our own on a unix socket, with all its state in one directory: the machine's docker is left alone.

import { type ChildProcess, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { findProgram, runCommand } from './measure.ts'

export interface DockerDaemon extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly host: string
}

const startsWithinMs = 30_000

export interface DockerOptions {
  readonly signal: AbortSignal
  /** Words before the daemon's that start it on a network of the bench's own; there it has its bridge and its rules. */
  readonly through?: readonly string[]
}

/** Starts the daemon and waits until it answers; undefined where there is none or it does not come up. */
export async function startDocker(
  directory: string,
  { signal, through }: DockerOptions,
): Promise<DockerDaemon | undefined> {
  const dockerd = findProgram('dockerd')
  if (dockerd === undefined || findProgram('docker') === undefined) return undefined
  const host = `unix://${path.join(directory, 'socket')}`
  const log = openSync(path.join(directory, 'log'), 'w')
  const state = (name: string): string => path.join(directory, name)
  const places = [
    '--data-root',
    state('data'),
    '--exec-root',
    state('exec'),
    '--pidfile',
    state('pid'),
  ]
  const none = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--ip-masq=false']
  const network = through === undefined ? none : []
  const [first, ...words] = [...(through ?? []), dockerd, '--host', host, ...places, ...network]
  const child = spawn(first ?? dockerd, words, { stdio: ['ignore', log, log] })
  const daemon = { host, [Symbol.asyncDispose]: () => stop(child) }
  const deadlineMs = performance.now() + startsWithinMs
  while (performance.now() < deadlineMs && child.exitCode === null) {
    try {
      await runCommand({ argv: ['docker', 'info'], env: { DOCKER_HOST: host } }, signal)
      return daemon
    } catch {
      signal.throwIfAborted()
      await sleep(200)
    }
  }
  await stop(child)
  return undefined
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

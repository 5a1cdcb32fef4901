// A dockerd of the test's own: its state, socket and pid in a temporary directory, no bridge and no rules on the host, unless
// it is started on a private one.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'

export interface DockerDaemon extends AsyncDisposable {
  /** Runs the docker client against it; what it prints, or an error with its standard error. */
  docker(args: readonly string[], input?: Uint8Array): string
  /** The exit code of the client. */
  exitCode(args: readonly string[]): number
}

const startMs = 30_000

/** It changes nothing of the host's network. */
const quiet = '--bridge none --iptables=false --ip-forward=false --ip-masq=false'

export interface DockerDaemonOptions {
  /** Words before the daemon's that start it on a host of the test's own; there it has its bridge and its rules. */
  readonly through?: readonly string[]
  /** More words for the daemon. */
  readonly words?: readonly string[]
  /** Instead of this process's. */
  readonly environment?: NodeJS.ProcessEnv
}

/** Starts it and waits until it answers; dispose it. Needs root. */
export async function startDockerDaemon({
  through,
  words: more = [],
  environment: inherited = process.env,
}: DockerDaemonOptions = {}): Promise<DockerDaemon> {
  const directory = mkdtempSync(path.join(tmpdir(), 'kauri-dockerd-'))
  const socket = `unix://${directory}/socket`
  const log = path.join(directory, 'log')
  const fd = openSync(log, 'w')
  const places = `--data-root ${directory}/data --exec-root ${directory}/exec --pidfile ${directory}/pid`
  const [first, ...before] = [...(through ?? []), 'dockerd']
  const words = `${places} --host ${socket}${through === undefined ? ` ${quiet}` : ''}`.split(' ')
  const child = spawn(first, [...before, ...words, ...more], {
    stdio: ['ignore', fd, fd],
    env: { ...inherited, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
  })
  const environment = { ...process.env, DOCKER_HOST: socket }
  const docker = (args: readonly string[], input: Uint8Array = Buffer.alloc(0)): string =>
    execFileSync('docker', args, { env: environment, input, encoding: 'utf8', stdio: 'pipe' })
  const stop = async (): Promise<void> => {
    const ended = once(child, 'exit')
    if (child.exitCode === null && child.kill('SIGTERM')) await ended
    unmountBelow(directory)
    rmSync(directory, { recursive: true, force: true })
  }
  for (const begunMs = Date.now(); !answers(docker); ) {
    if (child.exitCode !== null || Date.now() - begunMs > startMs) {
      const told = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : ''
      await stop()
      throw new Error(`dockerd does not start: ${told}`)
    }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  return {
    docker,
    exitCode(args) {
      try {
        execFileSync('docker', args, { env: environment, stdio: 'ignore' })
        return 0
      } catch (error) {
        return error instanceof Error && 'status' in error ? Number(error.status) : -1
      }
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** dockerd leaves the namespace of containers on the host's network mounted. */
function unmountBelow(directory: string): void {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const target = line.split(' ')[4] ?? ''
    if (target.startsWith(`${directory}/`)) execFileSync('umount', [target])
  }
}

function answers(docker: DockerDaemon['docker']): boolean {
  try {
    return docker(['version', '--format', '{{.Server.Version}}']) !== ''
  } catch {
    return false
  }
}

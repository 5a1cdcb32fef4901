// Where a bench works: a scratch directory, kauri's and the peers' commands in it, and what must be ended afterwards.

import { mkdtemp } from 'node:fs/promises'
import path from 'node:path'
import { type DockerDaemon, startDocker } from './docker-daemon.ts'
import { type Command, findProgram, runCommand } from './measure.ts'

export const projectRoot: string = path.join(import.meta.dirname, '..')

export interface Bench extends AsyncDisposable {
  /** Nothing in it is removed before the end: on ext4 creating files after a large removal is many times slower. */
  readonly scratch: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
  /** A kauri command on a state directory below the scratch directory. */
  readonly kauri: (args: readonly string[], state?: string) => Command
  /** A docker command on a daemon of our own, or undefined where docker is missing or does not start. */
  readonly docker: (args: readonly string[]) => Promise<Command | undefined>
  /** A podman command on a store of our own, or undefined. */
  readonly podman: (args: readonly string[]) => Promise<Command | undefined>
  /** A new directory below the scratch directory. */
  readonly directory: (purpose: string) => Promise<string>
  /** The root file system of the Debian description as an uncompressed tar; made once. */
  readonly rootArchive: () => Promise<string>
}

export interface BenchOptions {
  readonly scratch: string
  /** A root file system as uncompressed tar; undefined: built from the Debian description. */
  readonly rootArchive?: string | undefined
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** Opens the scratch directory for work; disposing stops the peers' daemons. */
export async function openBench(options: BenchOptions): Promise<Bench> {
  const { scratch, signal, say } = options
  await hideUnifiedCgroups()
  const missing = new Set<string>()
  let daemon: Promise<DockerDaemon | undefined> | undefined
  let archive: Promise<string> | undefined
  const skip = (what: string): undefined => {
    if (!missing.has(what)) say(`   skipped: ${what}`)
    missing.add(what)
    return undefined
  }
  const directory = (purpose: string): Promise<string> => mkdtemp(path.join(scratch, `${purpose}-`))
  const kauri = (args: readonly string[], state = path.join(scratch, 'state')): Command => ({
    argv: [path.join(projectRoot, 'bin/kauri'), ...args],
    env: { KAURI_DATA_ROOT: state, KAURI_RUN_ROOT: path.join(scratch, 'run') },
  })
  return {
    scratch,
    signal,
    say,
    kauri,
    directory,
    docker: async args => {
      daemon ??= startDocker(await directory('docker'), { signal })
      const running = await daemon
      if (running === undefined) return skip('docker is not installed or does not start')
      return { argv: ['docker', ...args], env: { DOCKER_HOST: running.host } }
    },
    podman: async args => {
      if (findProgram('podman') === undefined) return skip('podman is not installed')
      const store = ['--root', `${scratch}/podman`, '--runroot', `${scratch}/podman-run`]
      return { argv: ['podman', ...store, ...args], env: {} }
    },
    rootArchive: () => {
      archive ??=
        options.rootArchive === undefined
          ? makeRootArchive({ kauri, directory, signal })
          : Promise.resolve(path.resolve(options.rootArchive))
      return archive
    },
    [Symbol.asyncDispose]: async () => {
      await (await daemon)?.[Symbol.asyncDispose]()
    },
  }
}

/** Older crun does not start where cgroups are in hybrid mode: the second hierarchy is taken out of everybody's sight. */
async function hideUnifiedCgroups(): Promise<void> {
  const argv = ['sh', '-c', '! mountpoint -q "$1" || umount "$1"', 'sh', '/sys/fs/cgroup/unified']
  await runCommand({ argv, env: {} }, new AbortController().signal)
}

async function makeRootArchive({
  kauri,
  directory,
  signal,
}: Pick<Bench, 'kauri' | 'directory' | 'signal'>): Promise<string> {
  const target = await directory('root')
  const description = path.join(projectRoot, 'descriptions/debian-bookworm')
  const build = ['system', 'build', '--type', 'tbz', '--description', description]
  await runCommand(kauri([...build, '--target-dir', target]), signal)
  const shell = 'xz -dc -- "$1"/*.tar.xz > "$1/root.tar"'
  await runCommand({ argv: ['sh', '-c', shell, 'sh', target], env: {} }, signal)
  return path.join(target, 'root.tar')
}

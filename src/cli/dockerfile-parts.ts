// What Dockerfile builds work with: state directories, snapshots, runtime, store, sources from elsewhere. No package
// manager: what a Dockerfile installs it installs itself.

import { mkdirSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { pipeline } from 'node:stream/promises'
import type { CallerOptions, SshSource } from '../build/build.ts'
import type { BuildPlansParts } from '../build/build-plans.ts'
import { openRemoteSources, type RemoteSources } from '../build/remote-source.ts'
import { sweepScratchDirectories } from '../build/scratch-directory.ts'
import { hasErrno, KauriError } from '../core/errors.ts'
import { createBuiltinRuntime } from '../runtime/builtin-runtime.ts'
import { sweepRuntime } from '../runtime/sweep-runtime.ts'
import { buildMountsPath } from './build-mounts-path.ts'
import type { CommandContext } from './command.ts'
import { openStore } from './open-store.ts'
import { openTrees } from './open-trees.ts'

/** For root only. Disposing what is handed in is the caller's. */
export async function openDockerfileParts(
  context: CommandContext,
  { remoteSources, registries }: Required<Pick<BuildPlansParts, 'remoteSources' | 'registries'>>,
): Promise<BuildPlansParts> {
  const { dataRoot, runRoot, signal, endProgress } = context
  const cacheRoot = path.join(dataRoot, 'cache')
  await sweepRuntime(runRoot)
  await sweepScratchDirectories(dataRoot)
  return {
    dataRoot,
    snapshotter: await openTrees(context),
    runtime: createBuiltinRuntime({ runRoot, cacheRoot }),
    store: openStore(context),
    remoteSources,
    registries,
    buildMountsFile: buildMountsPath(),
    packageManager: async () => {
      throw new KauriError('INTERNAL', 'a Dockerfile has no package manager')
    },
    writeOut: async bytes => {
      await endProgress()
      await writeToReader(bytes, signal)
    },
  }
}

async function writeToReader(bytes: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
  try {
    await pipeline(bytes, process.stdout, { signal, end: false })
  } catch (error) {
    if (!hasErrno(error, 'EPIPE')) throw error
    throw new KauriError('PROCESS_FAILED', 'whoever read standard output went away', {
      cause: error,
    })
  }
}

/** Makes the state directories, through which programs that run as other users can pass. */
export function makeStateDirectories({ dataRoot }: Pick<CommandContext, 'dataRoot'>): void {
  for (const directory of [dataRoot, path.join(dataRoot, 'cache')])
    mkdirSync(directory, { recursive: true, mode: 0o711 })
}

/** What programs that fetch need of the caller's environment. */
const fetchVariables = [
  'PATH',
  ...['http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy'].flatMap(name => [
    name,
    name.toUpperCase(),
  ]),
]

/** Sources for ADD and contexts; the caller's ssh agent serves a context's repository, as a person's own git would. */
export function openBuildSources(
  { dataRoot }: Pick<CommandContext, 'dataRoot'>,
  { secrets, ssh }: Pick<CallerOptions, 'secrets' | 'ssh'>,
  offline: boolean,
): RemoteSources {
  const environment = Object.fromEntries(
    fetchVariables.flatMap(name => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
  return openRemoteSources({ dataRoot, secrets, ssh, environment, offline })
}

/** Hands over the caller's agent where nothing was chosen. */
export function withOwnAgent(ssh: ReadonlyMap<string, SshSource>): ReadonlyMap<string, SshSource> {
  const socket = process.env['SSH_AUTH_SOCK']
  if (ssh.has('default') || socket === undefined || socket === '') return ssh
  return new Map([...ssh, ['default', { kind: 'agent', socket }]])
}

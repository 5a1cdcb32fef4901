// Those who build from a Dockerfile, each with a store of its own that has the base image.

import { access } from 'node:fs/promises'
import path from 'node:path'
import type { Bench } from './context.ts'
import { type Command, findProgram, runCommand } from './measure.ts'

export interface Builder {
  readonly name: string
  /** A build of the context, without network; the last of the arguments. */
  readonly build: (args: readonly string[]) => Command
}

/** Kauri, and of docker's two builders and buildah what is installed. */
export async function openBuilders(bench: Bench, base: string): Promise<Builder[]> {
  const archive = await bench.rootArchive()
  await runCommand(bench.kauri(['import', archive, base]), bench.signal)
  const kauri: Builder = {
    name: 'kauri',
    build: args => bench.kauri(['build', '--network', 'none', '-t', 'bench/result', ...args]),
  }
  const peers = [...(await dockerBuilders(bench, base)), ...(await buildah(bench, base))]
  return [kauri, ...peers]
}

async function dockerBuilders(bench: Bench, base: string): Promise<Builder[]> {
  const load = await bench.docker(['import', await bench.rootArchive(), base])
  if (load === undefined) return []
  await runCommand(load, bench.signal)
  const builder = (name: string, client: string, buildKit: string): Builder => ({
    name,
    build: args => ({
      argv: [client, 'build', '--network', 'none', '-t', 'bench/result', ...args],
      env: { ...load.env, DOCKER_BUILDKIT: buildKit },
    }),
  })
  const client = await findBuildKitClient(bench)
  if (client === undefined) bench.say('   skipped: no docker client that can use BuildKit')
  return [
    builder('docker classic', 'docker', '0'),
    ...(client === undefined ? [] : [builder('BuildKit', client, '1')]),
  ]
}

/** Newer clients leave BuildKit to a plugin; an older one, which Debian has, speaks to it by itself. */
async function findBuildKitClient(bench: Bench): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(':')) {
    const client = path.join(directory, 'docker')
    try {
      await access(client)
      const argv = [client, 'build', '--help']
      await runCommand({ argv, env: { DOCKER_BUILDKIT: '1' } }, bench.signal)
      return client
    } catch {
      bench.signal.throwIfAborted()
    }
  }
  return undefined
}

async function buildah(bench: Bench, base: string): Promise<Builder[]> {
  if (findProgram('buildah') === undefined) {
    bench.say('   skipped: buildah is not installed')
    return []
  }
  const store = ['--root', `${bench.scratch}/buildah`, '--runroot', `${bench.scratch}/buildah-run`]
  const command = (...args: readonly string[]): Command => ({
    argv: ['buildah', ...store, ...args],
    env: { BUILDAH_ISOLATION: 'chroot' },
  })
  const container = await runCommand(command('from', 'scratch'), bench.signal)
  const name = container.stdout.trim()
  await runCommand(command('add', name, await bench.rootArchive(), '/'), bench.signal)
  await runCommand(command('commit', '--rm', name, base), bench.signal)
  const build = ['bud', '--layers', '--network', 'none', '-t', 'bench/result']
  return [{ name: 'buildah bud --layers', build: args => command(...build, ...args) }]
}

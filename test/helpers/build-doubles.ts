// A package manager and a runtime that only pretend, for tests of what the executor does around them.

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExecutorParts } from '../../src/build/stage-run.ts'
import { KauriError } from '../../src/core/errors.ts'
import { digestOf, hexOf } from '../../src/oci/digest.ts'
import {
  type BuildPlan,
  type BuildStep,
  guestPath,
  type InstallStep,
  type RunStep,
} from '../../src/plan/plan.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import type {
  PackageManager,
  Resolution,
  ResolutionKey,
  ResolvedPackage,
} from '../../src/rootfs/package-manager.ts'
import type { Bundle, Runtime } from '../../src/runtime/runtime.ts'

/** What the doubles did, in order. */
export interface Doubles {
  readonly parts: ExecutorParts
  readonly calls: string[]
  /** Versions that the pretended repository offers. */
  readonly versions: Map<string, string>
  /** What a script does; by default it prints its command. */
  script: (bundle: Bundle, onLine: (line: string) => void) => number | Promise<number>
}

/** Doubles over a real snapshotter in `dataRoot`. */
export async function makeDoubles(dataRoot: string): Promise<Doubles> {
  const calls: string[] = []
  const versions = new Map<string, string>()
  const snapshotter = await openSnapshotter({ root: path.join(dataRoot, 'snapshots') })
  const doubles: Doubles = {
    calls,
    versions,
    script: (bundle, onLine) => {
      onLine(`ran ${bundle.config.process.args.join(' ')}`)
      return 0
    },
    parts: {
      dataRoot,
      snapshotter,
      runtime: fakeRuntime((bundle, onLine) => doubles.script(bundle, onLine), calls),
      packageManager: async () => fakeManager(calls, versions),
    },
  }
  return doubles
}

function fakeRuntime(
  script: (bundle: Bundle, onLine: (line: string) => void) => number | Promise<number>,
  calls: string[],
): Runtime {
  return {
    name: 'pretended',
    async run(bundle, { io }) {
      calls.push(`run ${bundle.config.process.args.join(' ')}`)
      const onLine = io.kind === 'lines' ? io.onLine : () => {}
      return { code: await script(bundle, onLine), outOfMemory: false }
    },
  }
}

function fakeManager(calls: string[], versions: ReadonlyMap<string, string>): PackageManager {
  return {
    name: 'apt',
    checkHost: async () => {},
    async checkRequests(requests) {
      const names = requests.flatMap(request => request.packages.map(({ name }) => name))
      const missing = names.find(name => name.startsWith('no-'))
      if (missing !== undefined) throw new KauriError('PACKAGE_NOT_FOUND', `no ${missing}`)
    },
    async resolve(request, root) {
      calls.push(`resolve ${request.packages.map(({ name }) => name).join(' ')}`)
      if ((root === undefined) !== request.bootstrap) throw new Error('resolved on the wrong root')
      const packages = request.packages.map(({ name }) =>
        pretendedPackage(name, versions.get(name) ?? '1'),
      )
      const words = packages.map(({ name, version }) => `${name}=${version}`).join(' ')
      const resolution: Resolution = {
        packages,
        key: hexOf(digestOf(words)) as ResolutionKey,
        offline: false,
      }
      return resolution
    },
    async install(_request, resolution, root) {
      calls.push(`install ${resolution.packages.map(({ name }) => name).join(' ')}`)
      using tree = root.open()
      mkdirSync(`${tree.path}/packages`, { recursive: true })
      for (const { name, version } of resolution.packages)
        writeFileSync(`${tree.path}/packages/${name}`, `${version}\n`)
      return { newestFileSeconds: 1_700_000_000 }
    },
    async remove(request) {
      calls.push(`remove ${request.packages.map(({ name }) => name).join(' ')}`)
    },
    cleanRoot: async () => {},
    inventory: async () => [],
  }
}

function pretendedPackage(name: string, version: string): ResolvedPackage {
  const checksum = digestOf(`${name} ${version}`)
  return { name, version, architecture: 'amd64', checksum, sizeBytes: 1, url: '', requested: true }
}

/** A plan with one stage from nothing. */
export function planOf(steps: readonly BuildStep[], description = '/nonexistent'): BuildPlan {
  return {
    contexts: { description: { directory: description } },
    stages: [
      {
        id: 'main',
        platform: { os: 'linux', architecture: 'amd64' },
        base: { kind: 'scratch' },
        steps,
        config: { Cmd: ['/bin/sh'] },
        author: 'somebody',
        history: { kind: 'phases', line: { created_by: 'a test' } },
      },
    ],
  }
}

/** An installation; the first of a plan is the bootstrap. */
export function installOf(names: readonly string[], bootstrap = false): InstallStep {
  return {
    kind: 'install',
    title: bootstrap ? 'bootstrap' : 'packages',
    phase: bootstrap ? 'bootstrap' : 'packages',
    manager: 'apt',
    bootstrap,
    repositories: [],
    packages: names.map(name => ({ name })),
    ignore: [],
    recommended: false,
    excludeDocs: false,
  }
}

/** A script whose text is its command. */
export function runOf(text: string, more: Partial<RunStep> = {}): RunStep {
  return {
    kind: 'run',
    showsEpoch: true,
    title: 'config.sh',
    phase: 'config',
    command: ['/bin/sh', '-c', text],
    environment: ['PATH=/bin'],
    directory: guestPath('/'),
    user: 'root',
    network: 'none',
    mounts: [],
    ...more,
  }
}

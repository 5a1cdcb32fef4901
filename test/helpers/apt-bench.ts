// A place to try the package manager in: repositories, a pretended host configuration, trees and a cache of its own.

import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { BuildEvent } from '../../src/core/events.ts'
import type { PackageRepository } from '../../src/plan/plan.ts'
import type { AptOptions } from '../../src/rootfs/apt-access.ts'
import { openSnapshotter } from '../../src/rootfs/open-snapshotter.ts'
import type { PackageManager, PackageWork, Resolution } from '../../src/rootfs/package-manager.ts'
import { aptPackageManager } from '../../src/rootfs/package-managers/apt.ts'
import type { InstallRequest } from '../../src/rootfs/package-requests.ts'
import {
  type Rootfs,
  type SnapshotId,
  type Snapshotter,
  snapshotId,
} from '../../src/rootfs/rootfs.ts'
import { createBuiltinRuntime } from '../../src/runtime/builtin-runtime.ts'
import {
  type DebianRepository,
  makeDebianRepository,
  type PackageRecipe,
} from './debian-repository.ts'
import { makeScratch, type Scratch } from './scratch.ts'

export interface AptBench extends Disposable {
  readonly scratch: Scratch
  readonly snapshotter: Snapshotter
  /** Everything that was told so far. */
  readonly events: BuildEvent[]
  /** As one text: for what must, or must not, have been said. */
  said(): string
  work(change?: Partial<PackageWork>): PackageWork
  /** A manager, as every command makes its own. */
  manager(options?: Partial<AptOptions>): PackageManager
  /** A repository in a directory of its own. */
  repository(name: string, recipes?: readonly PackageRecipe[]): DebianRepository
  /** Writes a configuration of the host's apt; its environment goes to manager(). */
  host(files: Readonly<Record<string, string>>): Readonly<Record<string, string>>
  /** Resolves and installs onto a new root, or one that stands on a snapshot. */
  install(request: InstallRequest, options?: InstallOptions): Promise<Installed>
}

export interface InstallOptions {
  readonly manager?: PackageManager
  readonly parent?: SnapshotId
  readonly work?: PackageWork
  /** Changes the root before it is frozen. */
  readonly after?: (root: Rootfs, manager: PackageManager) => Promise<void>
}

export interface Installed {
  readonly id: SnapshotId
  readonly resolution: Resolution
  readonly newestFileSeconds: number
  /** Text of a file of the root. */
  read(file: string): string
  has(file: string): boolean
  /** Text of a file that may be missing. */
  existing(file: string): string
  /** The path at which the root is a directory of this machine. */
  readonly tree: string
}

export const machine: string = process.arch === 'arm64' ? 'aarch64' : 'x86_64'

/** The repository as a description would name it. */
export function repositoryOf(
  { source, key }: Pick<DebianRepository, 'source' | 'key'>,
  change: Partial<PackageRepository> = {},
): PackageRepository {
  return {
    alias: 'tiny',
    location: source,
    distribution: 'stable',
    components: ['main'],
    keys: [key],
    checkSignatures: true,
    inImage: 'no',
    where: { file: 'config.xml', line: 12, column: 5 },
    ...change,
  }
}

/** A request for packages by name; each stands in a line of its own, from 20 on. */
export function requestFor(
  repositories: readonly PackageRepository[],
  names: readonly string[],
  change: Partial<InstallRequest> = {},
): InstallRequest {
  return {
    bootstrap: true,
    repositories,
    packages: names.map((name, index) => ({
      name,
      where: { file: 'config.xml', line: 20 + index, column: 9 },
    })),
    ignore: [],
    recommended: false,
    excludeDocs: false,
    machine,
    ...change,
  }
}

/** Makes the bench; needs root. */
export async function makeAptBench(): Promise<AptBench> {
  const scratch = makeScratch()
  // apt's sandbox user has to reach its downloads.
  chmodSync(scratch.path, 0o755)
  const snapshotter = await openSnapshotter({ root: scratch.at('snapshots'), choice: 'copy' })
  const events: BuildEvent[] = []
  const cacheDirectory = scratch.at('cache', 'apt')
  const runtime = createBuiltinRuntime({
    runRoot: scratch.at('run'),
    cacheRoot: scratch.at('cache'),
  })
  const work = (change: Partial<PackageWork> = {}): PackageWork => ({
    emit: event => events.push(event),
    stepId: 'step',
    offline: false,
    ...change,
  })
  const manager = (options: Partial<AptOptions> = {}): PackageManager =>
    aptPackageManager({ cacheDirectory, runtime, ...options })
  return {
    scratch,
    snapshotter,
    events,
    said: () => JSON.stringify(events),
    work,
    manager,
    repository: (name, recipes) => makeDebianRepository(scratch.at(name), recipes),
    host: files => writeHost(scratch.at('host'), files),
    install: (request, options = {}) =>
      installOnBench({ snapshotter, request, manager: manager(), work: work(), ...options }),
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  }
}

interface BenchInstall extends InstallOptions {
  readonly snapshotter: Snapshotter
  readonly request: InstallRequest
  readonly manager: PackageManager
  readonly work: PackageWork
}

let installed = 0

async function installOnBench(options: BenchInstall): Promise<Installed> {
  const { snapshotter, request, manager, parent, work } = options
  await using root = await snapshotter.prepare(parent)
  const resolution = await manager.resolve(request, parent === undefined ? undefined : root, work)
  const outcome = await manager.install(request, resolution, root, work)
  await manager.cleanRoot(root)
  await options.after?.(root, manager)
  const name = `${resolution.key.slice(0, 40)}${String(installed++).padStart(8, '0')}`
  const { id } = await snapshotter.commit(root, snapshotId(name))
  const changes = snapshotter.changes(id)
  return {
    id,
    resolution,
    newestFileSeconds: outcome.newestFileSeconds,
    tree: changes.path,
    read: file => readFileSync(path.join(changes.path, file), 'utf8'),
    has: file => existsSync(path.join(changes.path, file)),
    existing: file =>
      existsSync(path.join(changes.path, file))
        ? readFileSync(path.join(changes.path, file), 'utf8')
        : '',
  }
}

function writeHost(
  directory: string,
  files: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(directory, name)
    mkdirSync(path.dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  mkdirSync(path.join(directory, 'apt.conf.d'), { recursive: true })
  const config = path.join(directory, 'apt.conf')
  writeFileSync(config, `Dir::Etc "${directory}";\n`)
  return { APT_CONFIG: config }
}

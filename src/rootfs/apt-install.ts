// Installs a resolved set: brings the files, puts them onto the root, and leaves apt's own records as apt would.

import path from 'node:path'
import {
  existsInRoot,
  makeDirectoriesInRoot,
  readTextInRoot,
  writeFileInRoot,
} from '../native/in-root.ts'
import type { AptAccess, AptSession } from './apt-access.ts'
import { requestedArchitectures } from './apt-architectures.ts'
import { unpackBootstrap } from './apt-bootstrap.ts'
import { configureBootstrap } from './apt-bootstrap-order.ts'
import type { DownloadContext } from './apt-download.ts'
import { plainName } from './apt-failure.ts'
import { writeImageSources } from './apt-image-sources.ts'
import { installOnto } from './apt-install-onto.ts'
import { changeMarks } from './apt-marks.ts'
import type { AptPlan } from './apt-resolve.ts'
import { debCache } from './deb-cache.ts'
import { type DpkgContainer, openDpkgContainer } from './dpkg-container.ts'
import { documentationFilters } from './dpkg-filters.ts'
import { extendedStatesFile } from './dpkg-state.ts'
import type { InstallOutcome, PackageWork } from './package-manager.ts'
import type { InstallRequest } from './package-requests.ts'
import type { Rootfs } from './rootfs.ts'

export interface InstallContext {
  readonly session: AptSession
  readonly access: AptAccess
  readonly plan: AptPlan
  readonly request: InstallRequest
  readonly root: Rootfs
  readonly work: PackageWork
}

/** Installs a plan. @throws what the package manager's install may throw */
export async function installPlan(context: InstallContext): Promise<InstallOutcome> {
  const outcome = context.request.bootstrap ? await bootstrap(context) : await installMore(context)
  using tree = context.root.open()
  writeImageSources(tree.fd, context.access.imageFiles)
  return outcome
}

async function bootstrap(context: InstallContext): Promise<InstallOutcome> {
  const { plan, request, root, work } = context
  const unpacked = await (async () => {
    using tree = root.open()
    const result = await unpackBootstrap({
      packages: plan.packages,
      architectures: requestedArchitectures(request),
      tree,
      excludeDocs: request.excludeDocs,
      download: downloadContext(context),
    })
    const essential = new Set(
      [...result.files.keys()]
        .filter(({ control }) => control.stanza.get('Essential') === 'yes')
        .map(({ name }) => name),
    )
    // Nobody asked for these by name, but they are what the root stands on.
    writeMarks(tree.fd, context, name => essential.has(name) || name === 'apt')
    return result
  })()
  const container = await openContainer(context, unpacked.newestFileSeconds)
  await configureBootstrap(unpacked, {
    container,
    root,
    options: dpkgOptions(request),
    onConfigure: countConfigured(plan, work),
  })
  return { newestFileSeconds: unpacked.newestFileSeconds }
}

async function installMore(context: InstallContext): Promise<InstallOutcome> {
  const { plan, request, root, work } = context
  const { newestFileSeconds } = await installOnto({
    plan,
    foreignArchitectures: requestedArchitectures(request).slice(1),
    download: downloadContext(context),
    options: dpkgOptions(request),
    onConfigure: countConfigured(plan, work),
    openContainer: epochSeconds => openContainer(context, epochSeconds),
  })
  using tree = root.open()
  writeMarks(tree.fd, context, () => false)
  return { newestFileSeconds }
}

function downloadContext({ session, access, work }: InstallContext): DownloadContext {
  return {
    cache: debCache(path.join(session.cacheDirectory, 'debs')),
    workspace: access.workspace,
    work,
  }
}

function openContainer(context: InstallContext, epochSeconds: number): Promise<DpkgContainer> {
  const { session, access, request, root, plan, work } = context
  return openDpkgContainer({
    runtime: session.options.runtime,
    root,
    work,
    directory: access.workspace.directory,
    requests: request.packages,
    epochSeconds,
    startStopDaemon: startStopDaemon(root, !request.bootstrap && bringsDpkg(plan)),
  })
}

/** Where the root has the program, unless dpkg is going to put a new one in its place. */
function startStopDaemon(root: Rootfs, isReplaced: boolean): string | undefined {
  if (isReplaced) return undefined
  using tree = root.open()
  return ['/usr/sbin/start-stop-daemon', '/sbin/start-stop-daemon'].find(file =>
    existsInRoot(tree.fd, file),
  )
}

function bringsDpkg({ packages }: AptPlan): boolean {
  return packages.some(({ name }) => name === 'dpkg')
}

/** Options that dpkg gets for every action. */
export function dpkgOptions({ excludeDocs }: Pick<InstallRequest, 'excludeDocs'>): string[] {
  return [
    // Nobody can answer questions: what the package's author thinks best, and otherwise the file that is there.
    '--force-confdef',
    '--force-confold',
    '--force-unsafe-io',
    ...(excludeDocs ? documentationFilters : []),
  ]
}

function countConfigured(
  { packages }: AptPlan,
  { emit, stepId }: PackageWork,
): (name: string) => void {
  const seen = new Set<string>()
  return name => {
    seen.add(name)
    emit({
      kind: 'step-progress',
      id: stepId,
      done: Math.min(seen.size, packages.length),
      total: packages.length,
      unit: 'packages',
      item: name,
    })
  }
}

function writeMarks(
  rootFd: number,
  { plan, request }: InstallContext,
  isOwn: (name: string) => boolean,
): void {
  const before = readTextInRoot(rootFd, extendedStatesFile) ?? ''
  const after = changeMarks(before, {
    automatic: plan.packages.filter(({ requested, name }) => !requested && !isOwn(name)),
    unmarked: [...request.packages.map(({ name }) => plainName(name)), ...plan.removed],
    nativeArchitecture: requestedArchitectures(request)[0] ?? '',
  })
  if (after === before) return
  makeDirectoriesInRoot(rootFd, '/var/lib/apt', { mode: 0o755, uid: 0, gid: 0 })
  writeFileInRoot(rootFd, extendedStatesFile, after, { mode: 0o644, uid: 0, gid: 0 })
}

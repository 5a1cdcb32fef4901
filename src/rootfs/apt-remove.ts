// Removes packages: either with apt's judgement of what nobody needs afterwards, or just these, whatever depends on them.

import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import { lastLines } from '../core/process.ts'
import { existsInRoot, openPlace, readTextInRoot, writeFileInRoot } from '../native/in-root.ts'
import { native } from '../native/native.ts'
import type { AptSession } from './apt-access.ts'
import { plainName } from './apt-failure.ts'
import { changeMarks } from './apt-marks.ts'
import { parseSimulation } from './apt-solution.ts'
import { openAptWorkspace } from './apt-workspace.ts'
import { type DpkgContainer, openDpkgContainer } from './dpkg-container.ts'
import { parseStanzas } from './dpkg-control.ts'
import { extendedStatesFile, isPresent, readInstalledState } from './dpkg-state.ts'
import type { PackageWork } from './package-manager.ts'
import type { RemoveRequest } from './package-requests.ts'
import type { Rootfs } from './rootfs.ts'

export interface RemoveContext {
  readonly session: AptSession
  readonly request: RemoveRequest
  readonly root: Rootfs
  readonly work: PackageWork
}

interface Installed {
  readonly status: string
  readonly extendedStates: string
  /** Package name to the names of its parts in dpkg's database. */
  readonly infoNames: ReadonlyMap<string, readonly string[]>
  readonly nativeArchitecture: string
}

/**
 * Packages that are not installed are told as warnings.
 * @throws PACKAGE_NOT_FOUND where none of them is installed; PACKAGE_CONFLICT where apt refuses; PACKAGE_INSTALL_FAILED
 */
export async function removePackages(context: RemoveContext): Promise<void> {
  const { session, request, root, work } = context
  const installed = readInstalled(root)
  const names = presentNames(request, installed, work)
  const host = await session.host(work.signal)
  await using workspace = await openAptWorkspace({
    cacheDirectory: session.cacheDirectory,
    host,
    netrc: '',
    localPaths: [],
    environment: session.environment,
  })
  const container = await openDpkgContainer({
    runtime: session.options.runtime,
    root,
    work,
    directory: workspace.directory,
    requests: request.packages,
    epochSeconds: 0,
    startStopDaemon: undefined,
  })
  const gone =
    request.mode === 'delete'
      ? await deleteOnly(names, { installed, root, container, work })
      : await uninstall(names, { installed, container, workspace, context })
  updateMarks(root, gone, installed)
}

function readInstalled(root: Rootfs): Installed {
  using tree = root.open()
  const { status, extendedStates } = readInstalledState(tree.fd)
  const infoNames = new Map<string, string[]>()
  let nativeArchitecture = ''
  for (const stanza of parseStanzas(status)) {
    if (!isPresent(stanza)) continue
    const name = stanza.get('Package') ?? ''
    const architecture = stanza.get('Architecture') ?? ''
    if (name === 'dpkg') nativeArchitecture = architecture
    const infoName = stanza.get('Multi-Arch') === 'same' ? `${name}:${architecture}` : name
    infoNames.set(name, [...(infoNames.get(name) ?? []), infoName])
  }
  return { status, extendedStates, infoNames, nativeArchitecture }
}

function presentNames(
  request: RemoveRequest,
  { infoNames }: Installed,
  work: PackageWork,
): string[] {
  const names: string[] = []
  for (const { name, where } of request.packages) {
    if (infoNames.has(plainName(name))) names.push(plainName(name))
    else
      work.emit({
        kind: 'warning',
        message: `package ${name} is not installed, so it is not removed`,
        where,
      })
  }
  if (names.length > 0 || request.packages.length === 0) return names
  throw new KauriError(
    'PACKAGE_NOT_FOUND',
    `none of the packages to remove is installed: ${request.packages.map(({ name }) => name).join(', ')}`,
    { hint: 'check their names, or leave them out', where: request.packages[0]?.where },
  )
}

interface UninstallContext {
  readonly installed: Installed
  readonly container: DpkgContainer
  readonly workspace: Awaited<ReturnType<typeof openAptWorkspace>>
  readonly context: RemoveContext
}

/** What apt would remove with them: what depends on them, and what only they needed. */
async function uninstall(names: readonly string[], details: UninstallContext): Promise<string[]> {
  const { installed, container, workspace, context } = details
  if (names.length === 0) return []
  const place = (name: string): string => path.join(workspace.directory, name)
  await writeFile(place('status'), installed.status)
  await writeFile(place('extended_states'), installed.extendedStates)
  const { exitCode, stdout, stderr } = await workspace.run(
    'apt-get',
    ['--simulate', '--yes', '--auto-remove', 'remove', ...names],
    {
      signal: context.work.signal,
      settings: [
        { name: 'APT::Architecture', value: installed.nativeArchitecture },
        { name: 'Dir::State::status', value: place('status') },
        { name: 'Dir::State::extended_states', value: place('extended_states') },
      ],
    },
  )
  if (exitCode !== 0)
    throw new KauriError(
      'PACKAGE_CONFLICT',
      `the packages cannot be uninstalled:\n${lastLines(stderr.replace(/^[EW]: /gm, ''), 10)}`,
      {
        hint: 'use <packages type="delete"> to remove just these, whatever depends on them',
        where: context.request.packages[0]?.where,
      },
    )
  const going = parseSimulation(stdout).flatMap(({ kind, name }) =>
    kind === 'remove' ? [name] : [],
  )
  if (going.length > 0) {
    await container.dpkg(['--force-depends', '--no-triggers', '--remove', ...going])
    await container.dpkg(['--configure', '--pending'])
  }
  return going
}

interface DeleteContext {
  readonly installed: Installed
  readonly root: Rootfs
  readonly container: DpkgContainer
  readonly work: PackageWork
}

/** Their scripts do not run: those expect the system that is being taken apart. */
async function deleteOnly(names: readonly string[], details: DeleteContext): Promise<string[]> {
  const { installed, root, container, work } = details
  const infoNames = names.flatMap(name => installed.infoNames.get(name) ?? [])
  if (infoNames.length === 0) return []
  {
    using tree = root.open()
    for (const name of infoNames)
      for (const script of ['prerm', 'postrm'])
        removeFile(tree.fd, `/var/lib/dpkg/info/${name}.${script}`)
  }
  const force = ['depends', 'remove-essential', 'remove-protected', 'remove-reinstreq']
  await container.dpkg([`--force-${force.join(',')}`, '--no-triggers', '--remove', ...infoNames])
  try {
    await container.dpkg(['--triggers-only', '--pending'])
  } catch (error) {
    // Who deletes packages by force may have deleted what the triggers need.
    if (!(error instanceof KauriError)) throw error
    work.emit({
      kind: 'warning',
      message: 'triggers of the deleted packages did not run',
      hint: error.message,
    })
  }
  return [...names]
}

function removeFile(rootFd: number, file: string): void {
  if (!existsInRoot(rootFd, file)) return
  using place = openPlace(rootFd, file)
  native().unlinkAt(place.directoryFd, place.name)
}

function updateMarks(
  root: Rootfs,
  gone: readonly string[],
  { nativeArchitecture }: Installed,
): void {
  using tree = root.open()
  const before = readTextInRoot(tree.fd, extendedStatesFile)
  if (before === undefined) return
  const after = changeMarks(before, {
    automatic: [],
    unmarked: gone.map(plainName),
    nativeArchitecture,
  })
  if (after !== before)
    writeFileInRoot(tree.fd, extendedStatesFile, after, { mode: 0o644, uid: 0, gid: 0 })
}

// What a request would install: apt decides, on the lists of the request's repositories and on what the root has
// installed. Answers are remembered by everything that apt looks at, so an unchanged build does not ask it again.

import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { readTextIfThere, writeCacheRecord } from '../core/atomic-file.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError } from '../core/errors.ts'
import { lockFile } from '../native/file-lock.ts'
import type { AptAccess } from './apt-access.ts'
import { requestedArchitectures } from './apt-architectures.ts'
import type { AptSetting } from './apt-config.ts'
import { explainFailure, explainUnknown, plainName } from './apt-failure.ts'
import { imageSourcesIdentity } from './apt-image-sources.ts'
import { listState } from './apt-list-set.ts'
import { parseRememberedPlan } from './apt-plan-record.ts'
import { formatPreferences } from './apt-preferences.ts'
import {
  type DpkgAction,
  parsePrintedUris,
  parseRemovedNames,
  parseSelectedProviders,
  parseSimulation,
} from './apt-solution.ts'
import type { PackageWork, Resolution, ResolutionKey, ResolvedPackage } from './package-manager.ts'
import type { InstallRequest } from './package-requests.ts'

/** A resolution and how dpkg gets there. */
export interface AptPlan {
  readonly packages: readonly ResolvedPackage[]
  /** Names of installed packages that have to go. */
  readonly removed: readonly string[]
  /** Empty for a bootstrap, which finds its own order. */
  readonly actions: readonly DpkgAction[]
}

/** What a root has installed, as texts of its own files. */
export interface InstalledState {
  readonly status: string
  readonly extendedStates: string
  /** Debian names beside the native one. */
  readonly foreignArchitectures: readonly string[]
}

/** @throws PACKAGE_NOT_FOUND, PACKAGE_CONFLICT with the position of the package that was asked for */
export async function resolvePlan(
  access: AptAccess,
  request: InstallRequest,
  context: { readonly installed: InstalledState | undefined; readonly work: PackageWork },
): Promise<AptPlan> {
  using _ = await lockFile(access.set.lockFile, 'shared', context.work.signal)
  const preferences = await formatPreferences(access.set, access.workspace, request.ignore)
  const names = selection(request)
  const record = await recordPath(access, {
    names,
    preferences,
    request,
    installed: context.installed,
  })
  const remembered = parseRememberedPlan(await readTextIfThere(record))
  if (remembered !== undefined) return remembered
  const settings = await stateSettings(access, {
    request,
    preferences,
    installed: context.installed,
  })
  const plan = await ask(
    access,
    { request, names, settings, isBootstrap: request.bootstrap },
    context.work,
  )
  await writeCacheRecord(record, JSON.stringify(plan))
  return plan
}

/** @throws PACKAGE_NOT_FOUND for names that the lists do not mention at all */
export async function checkNames(
  access: AptAccess,
  request: InstallRequest,
  work: PackageWork,
): Promise<void> {
  using _ = await lockFile(access.set.lockFile, 'shared', work.signal)
  for (const entry of request.packages) packageArgument(entry)
  const { stdout } = await access.workspace.run('apt-cache', ['pkgnames', '--all-names'], {
    settings: access.set.settings,
    signal: work.signal,
  })
  const unknown = explainUnknown(request.packages, stdout.split('\n'))
  if (unknown !== undefined) throw unknown
}

/** The name of a resolution: the set, and all that shapes what installing it does. */
export function resolutionKey(
  request: InstallRequest,
  plan: AptPlan,
  access: AptAccess,
): ResolutionKey {
  const identity = {
    manager: 'apt/1',
    bootstrap: request.bootstrap,
    excludeDocs: request.excludeDocs,
    packages: plan.packages.map(({ name, version, architecture, checksum, requested }) => ({
      name,
      version,
      architecture,
      checksum,
      requested,
    })),
    removed: plan.removed,
    sources: imageSourcesIdentity(access.imageFiles),
  }
  return createHash('sha256').update(canonicalJson(identity)).digest('hex') as ResolutionKey
}

/** What the caller is told of a plan. */
export function resolutionOf(
  request: InstallRequest,
  plan: AptPlan,
  { access, offline }: { readonly access: AptAccess; readonly offline: boolean },
): Resolution {
  return { packages: plan.packages, key: resolutionKey(request, plan, access), offline }
}

/** What apt-get is asked to install. A bootstrap takes what the distribution calls essential, and apt itself. */
function selection(request: InstallRequest): string[] {
  const names = request.packages.map(packageArgument)
  if (!request.bootstrap) return names
  const isNamed = new Set(request.packages.map(({ name }) => plainName(name)))
  const [native] = requestedArchitectures(request)
  const ofRoot = (pattern: string): string => `?and(${pattern},?architecture(${native}))`
  // Where a distribution has it, this package says that /usr is merged, and saves the tool that would merge it.
  const merged = isNamed.has('usrmerge') ? [] : [ofRoot('?exact-name(usr-is-merged)')]
  return [ofRoot('?essential'), ofRoot('?exact-name(apt)'), ...merged, ...names]
}

/** Debian policy 5.6.1 and 5.6.12, so that no name is taken for an option, a pattern or a removal. */
const argumentForm =
  /^[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+~:-]+|\/[A-Za-z0-9._-]+)?$/

function packageArgument({ name, where }: InstallRequest['packages'][number]): string {
  if (argumentForm.test(name) && !/:.*[+-]$/.test(name)) return name
  throw new KauriError('PACKAGE_NOT_FOUND', `"${name}" cannot be the name of a Debian package`, {
    hint: 'write NAME, NAME=VERSION, NAME/SUITE or NAME:ARCHITECTURE',
    where,
  })
}

interface RecordInputs {
  readonly names: readonly string[]
  readonly preferences: string
  readonly request: InstallRequest
  readonly installed: InstalledState | undefined
}

async function recordPath(access: AptAccess, inputs: RecordInputs): Promise<string> {
  const { names, preferences, request, installed } = inputs
  const identity = {
    version: 1,
    set: path.basename(access.set.directory),
    lists: await listState(access.set),
    names,
    preferences,
    recommended: request.recommended,
    installed: installed === undefined ? null : { ...installed },
  }
  const name = createHash('sha256').update(canonicalJson(identity)).digest('hex')
  return path.join(path.dirname(path.dirname(access.set.directory)), 'resolutions', name)
}

interface StateInputs {
  readonly request: InstallRequest
  readonly preferences: string
  readonly installed: InstalledState | undefined
}

async function stateSettings(access: AptAccess, inputs: StateInputs): Promise<AptSetting[]> {
  const { request, preferences, installed } = inputs
  const inWorkspace = (name: string): string => path.join(access.workspace.directory, name)
  await writeFile(inWorkspace('preferences'), preferences)
  await writeFile(inWorkspace('status'), installed?.status ?? '')
  await writeFile(inWorkspace('extended_states'), installed?.extendedStates ?? '')
  const foreign = installed?.foreignArchitectures ?? []
  return [
    ...access.set.settings,
    ...foreign.map(value => ({ name: 'APT::Architectures::', value })),
    { name: 'Dir::Etc::preferences', value: inWorkspace('preferences') },
    { name: 'Dir::State::status', value: inWorkspace('status') },
    { name: 'Dir::State::extended_states', value: inWorkspace('extended_states') },
    { name: 'APT::Install-Recommends', value: String(request.recommended) },
    { name: 'APT::Install-Suggests', value: 'false' },
  ]
}

interface Question {
  readonly request: InstallRequest
  readonly names: readonly string[]
  readonly settings: readonly AptSetting[]
  readonly isBootstrap: boolean
}

async function ask(access: AptAccess, question: Question, work: PackageWork): Promise<AptPlan> {
  const { request, names, settings } = question
  const options = { settings, signal: work.signal }
  const install = ['install', '--yes', '--allow-downgrades', ...names]
  // The fetched files carry the checksums, the simulation the order; a bootstrap needs no order.
  const [printed, simulated] = await Promise.all([
    access.workspace.run('apt-get', ['--print-uris', ...install], options),
    question.isBootstrap
      ? undefined
      : access.workspace.run('apt-get', ['--simulate', ...install], options),
  ])
  if (printed.exitCode !== 0)
    throw await explainFailure(
      { ...printed, requests: request.packages },
      {
        names: async () =>
          (await access.workspace.run('apt-cache', ['pkgnames'], options)).stdout.split('\n'),
        versions: async name =>
          parseVersions(
            (await access.workspace.run('apt-cache', ['madison', name], options)).stdout,
          ),
      },
    )
  const providers = parseSelectedProviders(printed.stdout)
  const named = new Set(
    request.packages
      .map(({ name }) => plainName(name))
      .flatMap(name => [name, providers.get(name) ?? name]),
  )
  const plan = {
    packages: parsePrintedUris(printed.stdout).map(file => resolved(file, named.has(file.name))),
    removed: parseRemovedNames(printed.stdout),
    actions: parseSimulation(simulated?.stdout ?? ''),
  }
  if (question.isBootstrap && !plan.packages.some(({ name }) => name === 'dpkg'))
    throw new KauriError(
      'PACKAGE_NOT_FOUND',
      'the repositories hold no essential packages, so there is nothing to start a root from',
      {
        hint: "add the distribution's own repository, such as obsrepositories:/",
        where: request.repositories[0]?.where,
      },
    )
  return plan
}

function resolved(
  { sha256, ...file }: ReturnType<typeof parsePrintedUris>[number],
  requested: boolean,
): ResolvedPackage {
  if (sha256 === undefined)
    throw new KauriError(
      'REPOSITORY_INVALID',
      `the repository of ${file.name} ${file.version} gives no sha256 for it`,
      { hint: 'its index must have SHA256 fields' },
    )
  return { ...file, checksum: `sha256:${sha256}`, requested }
}

/** Lines of `apt-cache madison`: ` name | version | source`. */
function parseVersions(stdout: string): string[] {
  return stdout.split('\n').flatMap(line => line.split('|')[1]?.trim() ?? [])
}

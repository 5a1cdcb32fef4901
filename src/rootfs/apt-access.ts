// From the repositories of a request to a set of package lists that apt can work on, and a workspace to run it in. What
// is the same for a whole build (the host's configuration, fetched keys, one update a set) is remembered here.

import path from 'node:path'
import { KauriError } from '../core/errors.ts'
import type { PackageRepository } from '../plan/plan.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { checkMachine, requestedArchitectures } from './apt-architectures.ts'
import { type AptHost, readAptHost } from './apt-host.ts'
import { type ImageSourceFile, imageSourceFiles } from './apt-image-sources.ts'
import { isRemote, readKeyring } from './apt-keyrings.ts'
import {
  type AptListSet,
  type KeyedSource,
  type ListsUpdate,
  openListSet,
  sourceName,
} from './apt-list-set.ts'
import { expandRepository } from './apt-repositories.ts'
import { updateLists } from './apt-update.ts'
import { type AptWorkspace, openAptWorkspace } from './apt-workspace.ts'
import type { PackageWork } from './package-manager.ts'
import type { InstallRequest } from './package-requests.ts'

export interface AptOptions {
  /** Lists, downloads and resolutions are kept here, shared by all builds: `<dataRoot>/cache/apt`. */
  readonly cacheDirectory: string
  /** Runs the image's own dpkg. */
  readonly runtime: Runtime
  /** The caller's environment; proxy variables and APT_CONFIG are used, nothing else. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Names the host's release; /etc/os-release by default. */
  readonly osReleaseFile?: string
}

/** What a build learns once. */
export interface AptSession {
  readonly options: AptOptions
  readonly cacheDirectory: string
  host(signal?: AbortSignal): Promise<AptHost>
  /** Proxy variables for apt's methods. */
  readonly environment: Readonly<Record<string, string>>
  readonly keyrings: Map<string, Promise<Buffer | undefined>>
  readonly updates: Map<string, Promise<ListsUpdate>>
  readonly warned: Set<string>
}

/** Repositories ready for work; dispose it. */
export interface AptAccess extends AsyncDisposable {
  readonly host: AptHost
  readonly workspace: AptWorkspace
  readonly set: AptListSet
  /** Files that the image keeps of its repositories. */
  readonly imageFiles: readonly ImageSourceFile[]
}

/** Starts a session; nothing is read before it is needed. */
export function openAptSession(options: AptOptions): AptSession {
  let host: Promise<AptHost> | undefined
  const environment = pick(options.environment ?? {}, /^(?:https?|ftp|all|no)_proxy$/i)
  const hostEnvironment = pick(options.environment ?? {}, /^APT_CONFIG$/)
  return {
    options,
    environment,
    cacheDirectory: path.resolve(options.cacheDirectory),
    host(signal) {
      host ??= readAptHost({
        environment: { LC_ALL: 'C', PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...hostEnvironment },
        osReleaseFile: options.osReleaseFile,
        signal,
      })
      return host
    },
    keyrings: new Map(),
    updates: new Map(),
    warned: new Set(),
  }
}

/** Repositories of a request with keys in place and lists up to date. @throws what resolving a request may throw */
export async function openAptAccess(
  session: AptSession,
  request: InstallRequest,
  work: PackageWork,
): Promise<AptAccess> {
  const host = await session.host(work.signal)
  checkMachine(request.machine, host.architecture)
  const { used, kept, netrc } = expandAll(request, host)
  await using stack = new AsyncDisposableStack()
  const workspace = stack.use(
    await openAptWorkspace({
      cacheDirectory: session.cacheDirectory,
      host,
      netrc,
      localPaths: used.flatMap(({ source }) => source.uris.flatMap(localPath)),
      environment: session.environment,
    }),
  )
  const withKeys = (sources: readonly KeyedSource[]): Promise<KeyedSource[]> =>
    Promise.all(
      sources.map(async source => ({
        ...source,
        keyring: await keyringOf(source.repository, session, { workspace, work }),
      })),
    )
  const set = await openListSet({
    cacheDirectory: session.cacheDirectory,
    sources: await withKeys(used),
    architectures: requestedArchitectures(request),
  })
  warnAbout(session, { host, sources: set.sources }, work)
  const { missing } = await updateOnce(session, { set, workspace }, work)
  const imageFiles = await imageSourceFiles(
    (await withKeys(kept)).filter(source => !missing.includes(sourceName(source))),
  )
  const owned = stack.move()
  return { host, workspace, set, imageFiles, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

interface Expanded {
  readonly used: readonly KeyedSource[]
  readonly kept: readonly KeyedSource[]
  readonly netrc: string
}

function expandAll(request: InstallRequest, host: AptHost): Expanded {
  const expanded = request.repositories.map(repository => expandRepository(repository, host))
  const sources = expanded.flatMap(entry => entry.sources)
  const used = sources.filter(({ repository }) => repository.inImage !== 'only')
  if (used.length === 0)
    throw new KauriError('REPOSITORY_INVALID', 'there is no repository to install packages from', {
      hint: 'add <repository><source path="obsrepositories:/"/></repository>',
      where: request.packages[0]?.where,
    })
  return {
    used,
    kept: sources.filter(({ repository }) => repository.inImage !== 'no'),
    netrc: expanded.map(entry => entry.netrc).join(''),
  }
}

interface KeyContext {
  readonly workspace: AptWorkspace
  readonly work: PackageWork
}

function keyringOf(
  repository: PackageRepository,
  { keyrings, cacheDirectory }: AptSession,
  context: KeyContext,
): Promise<Buffer | undefined> {
  // Key files are read each time: they are local, and may have changed.
  if (!repository.keys.some(isRemote))
    return readKeyring(repository, { cacheDirectory, ...context })
  const name = JSON.stringify(repository.keys)
  const known = keyrings.get(name)
  if (known !== undefined) return known
  const reading = readKeyring(repository, { cacheDirectory, ...context })
  keyrings.set(name, reading)
  reading.catch(() => keyrings.delete(name))
  return reading
}

interface ListContext {
  readonly set: AptListSet
  readonly workspace: AptWorkspace
}

function updateOnce(
  { updates }: AptSession,
  { set, workspace }: ListContext,
  work: PackageWork,
): Promise<ListsUpdate> {
  const known = updates.get(set.directory)
  if (known !== undefined) return known
  const updating = updateLists(set, workspace, work)
  updates.set(set.directory, updating)
  updating.catch(() => updates.delete(set.directory))
  return updating
}

interface WarningContext {
  readonly host: AptHost
  readonly sources: readonly KeyedSource[]
}

function warnAbout(
  session: AptSession,
  { host, sources }: WarningContext,
  work: PackageWork,
): void {
  const warn = (message: string, hint?: string, where?: PackageRepository['where']): void => {
    if (session.warned.has(message)) return
    session.warned.add(message)
    work.emit({ kind: 'warning', message, hint, where })
  }
  if (host.proxyProgram !== undefined)
    warn(
      `the host finds its proxy by running ${host.proxyProgram}; kauri does not run it`,
      'set Acquire::http::Proxy in /etc/apt/apt.conf.d',
    )
  for (const source of sources)
    if (/^(?:yes|true|1)$/i.test(source.source.options.Trusted ?? ''))
      warn(
        `signatures of ${sourceName(source)} are not checked`,
        'give its signing key instead',
        source.repository.where,
      )
}

function localPath(uri: string): string[] {
  const local = /^(?:mirror\+)?(?:file|copy):\/*(\/.*)$/i.exec(uri)?.[1]
  return local === undefined ? [] : [decodeURI(local)]
}

function pick(
  environment: Readonly<Record<string, string | undefined>>,
  names: RegExp,
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment))
    if (value !== undefined && names.test(name)) picked[name] = value
  return picked
}

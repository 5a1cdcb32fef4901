// What ADD and build contexts take from elsewhere: files over HTTP(S) and git repositories. First comes a name for the
// content, as cheaply as the server allows; the bytes are fetched only when a step that needs them really runs.

import { canonicalJson } from '../core/canonical-json.ts'
import { KauriError, redactCredentials, type SourcePosition } from '../core/errors.ts'
import { type Emit, inStep } from '../core/events.ts'
import type { Digest } from '../oci/digest.ts'
import type { FileSource } from '../plan/plan.ts'
import type { SecretSource, SshSource } from './build.ts'
import { openScratchDirectory, type ScratchDirectory } from './scratch-directory.ts'

/** A source that is not on this machine. */
export type RemoteSource = Extract<FileSource, { readonly kind: 'http' | 'git' }>

export interface ResolveOptions {
  /** Where the user wrote it. */
  readonly where?: SourcePosition | undefined
  readonly signal?: AbortSignal | undefined
  readonly emit: Emit
  /** A step that is under way, which progress is told for; undefined: the question is a step of its own. */
  readonly stepId?: string
}

/** A source whose content has a name. */
export interface ResolvedSource {
  /** What a key takes: of a file its sha256, of a repository that of its commit and what is taken of it. No times. */
  readonly digest: Digest
  /** Name of the file where the target is a directory: the end of the address's path; '' for a repository. */
  readonly name: string
  /** Fetches it where it is not here yet. What it gives is valid until the sources are disposed. @throws DOWNLOAD_FAILED */
  open(signal?: AbortSignal): Promise<RemoteFile | RemoteTree>
  /** When it was made, in seconds since 1970: a commit's time, or what the server says; undefined where nobody does. */
  madeSeconds(signal?: AbortSignal): Promise<number | undefined>
}

export interface RemoteFile {
  readonly kind: 'file'
  /** Host path. */
  readonly path: string
  readonly mode: 0o600
  /** When the server says it was changed, in seconds since 1970; 0 where it says nothing. */
  readonly mtimeSeconds: number
}

export interface RemoteTree {
  readonly kind: 'directory'
  /** Host directory whose contents are the source; files have mode 0644 or 0755. */
  readonly path: string
}

/** The remote sources of one build. Disposing removes what was checked out. */
export interface RemoteSources extends AsyncDisposable {
  /**
   * Names a source's content: an HTTP server gets a conditional request, a git server is asked for a commit. The same
   * source asks once in a build.
   * @throws DOWNLOAD_FAILED, CHECKSUM_MISMATCH, OFFLINE, PREREQUISITE_MISSING where git is not installed
   */
  resolve(source: RemoteSource, options: ResolveOptions): Promise<ResolvedSource>
}

export interface RemoteParts {
  readonly dataRoot: string
  /** HTTP_AUTH_TOKEN_<host>, HTTP_AUTH_HEADER_<host>, GIT_AUTH_TOKEN, GIT_AUTH_HEADER (also with `.<host>` behind). */
  readonly secrets?: ReadonlyMap<string, SecretSource>
  /** `default` is what git's ssh uses; without it ssh has no key. */
  readonly ssh?: ReadonlyMap<string, SshSource>
  /** Whole variables for programs that go out: PATH, proxies. */
  readonly environment: Readonly<Record<string, string>>
  readonly offline?: boolean
}

/** What finds and fetches sources of one kind. */
export interface SourceFetcher<S extends RemoteSource> {
  resolve(source: S, options: ResolveOptions): Promise<ResolvedSource>
}

/** Opens nothing until something is asked for. */
export function openRemoteSources(parts: RemoteParts): RemoteSources {
  const known = new Map<string, Promise<ResolvedSource>>()
  let scratch: Promise<ScratchDirectory> | undefined
  const scratchPath = async (): Promise<string> => {
    scratch ??= openScratchDirectory(parts.dataRoot)
    return (await scratch).path
  }
  const find = async (source: RemoteSource, options: ResolveOptions): Promise<ResolvedSource> => {
    if (options.stepId !== undefined) return await ask(source, options)
    const id = `source-${known.size}`
    const title = `[internal] look up ${shownSource(source)}`
    return await inStep(options.emit, { id, title }, () => ask(source, { ...options, stepId: id }))
  }
  const ask = async (source: RemoteSource, options: ResolveOptions): Promise<ResolvedSource> => {
    if (source.kind === 'http')
      return await (await import('./http-source.ts')).httpFetcher(parts).resolve(source, options)
    const { gitFetcher } = await import('./git-source.ts')
    return await gitFetcher(parts, scratchPath).resolve(source, options)
  }
  return {
    async resolve(source, options) {
      const name = canonicalJson(source)
      let found = known.get(name)
      if (found === undefined) {
        found = find(source, options)
        known.set(name, found)
      }
      try {
        return await found
      } catch (error) {
        throw withPlace(error, options.where)
      }
    },
    async [Symbol.asyncDispose]() {
      await (await scratch)?.[Symbol.asyncDispose]()
    },
  }
}

function shownSource(source: RemoteSource): string {
  if (source.kind === 'http') return redactCredentials(source.url)
  const { repository, revision } = source
  return `${redactCredentials(repository)}${revision === undefined ? '' : `#${revision}`}`
}

/** What failed failed for whoever asked first; the place is that of whoever asks now. */
function withPlace(error: unknown, where: SourcePosition | undefined): unknown {
  if (!(error instanceof KauriError) || error.where !== undefined) return error
  const { code, message, hint, cause } = error
  return new KauriError(code, message, { hint, where, cause })
}

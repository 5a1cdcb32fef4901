// Build contexts that are elsewhere: git repositories, tars and single files over HTTP.

import {
  copyFileSync,
  createReadStream,
  mkdirSync,
  readFileSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { RemoteSource, RemoteSources, ResolveOptions } from '../build/remote-source.ts'
import { archiveStartBytes, isArchiveStart, unpackContext } from '../build/tar-context.ts'
import { KauriError, redactCredentials } from '../core/errors.ts'
import { inStep } from '../core/events.ts'
import type { findContextAddress } from '../dockerfile/source-address.ts'
import type { CommandContext } from './command.ts'

/** A context on this machine. */
export interface FetchedContext {
  readonly directory: string
  /** The user's own directory, which ignore files speak of; false for what strangers filled. */
  readonly isLocal: boolean
  /** Text of a Dockerfile that came in place of a context. */
  readonly dockerfile?: string
  /** When it was made, in seconds since 1970, where that is known. */
  readonly madeSeconds?: MadeSeconds
}

/** Asks only when somebody wants to know. */
export type MadeSeconds = () => Promise<number | undefined>

/** A git repository, or a file over HTTP. */
export type ContextAddress = NonNullable<ReturnType<typeof findContextAddress>>

export interface FetchRequest {
  readonly remoteSources: RemoteSources
  readonly keepGitDirectory: boolean
  /** The image has a time of its own, so files get that of the commit. */
  readonly hasEpoch: boolean
  readonly command: Pick<CommandContext, 'signal' | 'emit'>
}

/** @throws DOWNLOAD_FAILED, ARCHIVE_INVALID, CHECKSUM_MISMATCH */
export async function fetchContext(
  address: ContextAddress,
  { remoteSources, keepGitDirectory, hasEpoch, command }: FetchRequest,
  scratchPath: () => Promise<string>,
): Promise<FetchedContext> {
  const { signal, emit } = command
  const name = redactCredentials(address.kind === 'git' ? address.repository : address.url)
  const step = { id: 'load-context', title: `[internal] load remote build context ${name}` }
  return await inStep(emit, step, async () => {
    const options = { signal, emit, stepId: step.id }
    if (address.kind === 'git') {
      const times = address.times ?? (hasEpoch ? 'commit' : 'checkout')
      const source = gitSourceOf({ ...address, times }, keepGitDirectory)
      return { ...(await fetchTree(source, remoteSources, options)), isLocal: false }
    }
    const fetched = await fetchFile(address.url, remoteSources, options)
    const { file, madeSeconds } = fetched
    if (await isArchive(file)) {
      const unpacked = await unpackedContext(createReadStream(file), name, { scratchPath, signal })
      return {
        ...unpacked,
        madeSeconds: async () => (await madeSeconds()) ?? (await unpacked.madeSeconds?.()),
      }
    }
    // As BuildKit has it: the Dockerfile is the only file of the context, and its name is "context".
    const directory = directoryWithFile(fetched, await scratchPath(), 'context')
    return { directory, isLocal: false, dockerfile: readFileSync(file, 'utf8'), madeSeconds }
  })
}

/** What a git address asks for, with BuildKit's defaults. */
export function gitSourceOf(
  { checksum, ...address }: Extract<ContextAddress, { kind: 'git' }>,
  keepGitDirectory = false,
): GitSource {
  return {
    ...address,
    keepGitDirectory: keepGitDirectory || (address.keepGitDirectory ?? false),
    submodules: address.submodules ?? true,
    ...(checksum === undefined ? {} : { commit: checksum }),
  }
}

type GitSource = Extract<RemoteSource, { kind: 'git' }>

/** Something from elsewhere, and when it was made. */
interface Dated {
  readonly madeSeconds: MadeSeconds
}

/** The files of a repository as a directory. */
export async function fetchTree(
  source: GitSource,
  remoteSources: RemoteSources,
  options: ResolveOptions,
): Promise<Dated & { readonly directory: string }> {
  const resolved = await remoteSources.resolve(source, options)
  const { path: directory } = await resolved.open(options.signal)
  return { directory, madeSeconds: () => resolved.madeSeconds(options.signal) }
}

export interface FetchedFile extends Dated {
  /** Host path. */
  readonly file: string
  readonly mtimeSeconds: number
}

/** A file over HTTP. */
export async function fetchFile(
  url: string,
  remoteSources: RemoteSources,
  options: ResolveOptions,
): Promise<FetchedFile> {
  const resolved = await remoteSources.resolve({ kind: 'http', url }, options)
  const opened = await resolved.open(options.signal)
  const mtimeSeconds = opened.kind === 'file' ? opened.mtimeSeconds : 0
  return {
    file: opened.path,
    mtimeSeconds,
    madeSeconds: () => resolved.madeSeconds(options.signal),
  }
}

const maxTextBytes = 16 * 1024 * 1024

/** A text over HTTP. @throws USAGE beyond 16 MiB */
export async function fetchText(
  url: string,
  remoteSources: RemoteSources,
  options: ResolveOptions,
): Promise<string> {
  const { file } = await fetchFile(url, remoteSources, options)
  if (statSync(file).size > maxTextBytes)
    throw new KauriError('USAGE', `a Dockerfile has at most ${maxTextBytes} bytes`)
  return readFileSync(file, 'utf8')
}

/** A tar as a directory of the build's own. */
export async function unpackedContext(
  bytes: AsyncIterable<Uint8Array>,
  name: string,
  {
    scratchPath,
    signal,
  }: { readonly scratchPath: () => Promise<string>; readonly signal: AbortSignal },
): Promise<FetchedContext> {
  const directory = path.join(await scratchPath(), 'context')
  const newestSeconds = await unpackContext(bytes, directory, { name, signal })
  return { directory, isLocal: false, madeSeconds: async () => newestSeconds }
}

async function isArchive(file: string): Promise<boolean> {
  await using handle = await open(file, 'r')
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(archiveStartBytes), {
    length: archiveStartBytes,
    position: 0,
  })
  return isArchiveStart(buffer.subarray(0, bytesRead))
}

/** Makes a directory with the file in it, under the name that BuildKit gives what it downloads. */
export function directoryWithFile(
  { file, mtimeSeconds }: FetchedFile,
  scratch: string,
  name: string,
): string {
  const directory = path.join(scratch, name)
  mkdirSync(directory, { recursive: true })
  const target = path.join(directory, 'context')
  copyFileSync(file, target)
  utimesSync(target, mtimeSeconds, mtimeSeconds)
  return directory
}

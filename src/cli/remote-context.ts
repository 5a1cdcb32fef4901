// Build contexts that are elsewhere: git repositories, tars and single files over HTTP.

import { copyFileSync, createReadStream, mkdirSync, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import type { RemoteSources, ResolveOptions } from '../build/remote-source.ts'
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
}

/** A git repository, or a file over HTTP. */
export type ContextAddress = NonNullable<ReturnType<typeof findContextAddress>>

export interface FetchRequest {
  readonly remoteSources: RemoteSources
  readonly keepGitDirectory: boolean
  readonly command: Pick<CommandContext, 'signal' | 'emit'>
}

/** @throws DOWNLOAD_FAILED, ARCHIVE_INVALID, CHECKSUM_MISMATCH */
export async function fetchContext(
  address: ContextAddress,
  { remoteSources, keepGitDirectory, command }: FetchRequest,
  scratchPath: () => Promise<string>,
): Promise<FetchedContext> {
  const { signal, emit } = command
  const name = redactCredentials(address.kind === 'git' ? address.repository : address.url)
  const step = { id: 'load-context', title: `[internal] load remote build context ${name}` }
  return await inStep(emit, step, async () => {
    const options = { signal, emit, stepId: step.id }
    if (address.kind === 'git')
      return {
        directory: await fetchTree(address, remoteSources, { ...options, keepGitDirectory }),
        isLocal: false,
      }
    const file = await fetchFile(address.url, remoteSources, options)
    if (await isArchive(file))
      return await unpackedContext(createReadStream(file), name, { scratchPath, signal })
    // As BuildKit has it: the Dockerfile is the only file of the context, and its name is "context".
    const directory = await scratchPath()
    copyFileSync(file, path.join(directory, 'context'))
    return { directory, isLocal: false, dockerfile: readFileSync(file, 'utf8') }
  })
}

export interface FetchOptions extends ResolveOptions {
  readonly keepGitDirectory?: boolean
}

/** The files of a repository as a directory. */
export async function fetchTree(
  address: Extract<ContextAddress, { kind: 'git' }>,
  remoteSources: RemoteSources,
  { keepGitDirectory = false, ...options }: FetchOptions,
): Promise<string> {
  const { checksum, ...rest } = address
  const resolved = await remoteSources.resolve(
    {
      ...rest,
      keepGitDirectory: keepGitDirectory || (address.keepGitDirectory ?? false),
      submodules: address.submodules ?? true,
      ...(checksum === undefined ? {} : { commit: checksum }),
    },
    options,
  )
  return (await resolved.open(options.signal)).path
}

/** The host path of a file over HTTP. */
export async function fetchFile(
  url: string,
  remoteSources: RemoteSources,
  options: ResolveOptions,
): Promise<string> {
  const resolved = await remoteSources.resolve({ kind: 'http', url }, options)
  return (await resolved.open(options.signal)).path
}

const maxTextBytes = 16 * 1024 * 1024

/** A text over HTTP. @throws USAGE beyond 16 MiB */
export async function fetchText(
  url: string,
  remoteSources: RemoteSources,
  options: ResolveOptions,
): Promise<string> {
  const file = await fetchFile(url, remoteSources, options)
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
  await unpackContext(bytes, directory, { name, signal })
  return { directory, isLocal: false }
}

async function isArchive(file: string): Promise<boolean> {
  await using handle = await open(file, 'r')
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(archiveStartBytes), {
    length: archiveStartBytes,
    position: 0,
  })
  return isArchiveStart(buffer.subarray(0, bytesRead))
}

/** Makes a directory with one file in it, named as BuildKit names what it downloads. */
export function directoryWithFile(file: string, scratch: string, name: string): string {
  const directory = path.join(scratch, name)
  mkdirSync(directory, { recursive: true })
  copyFileSync(file, path.join(directory, 'context'))
  return directory
}

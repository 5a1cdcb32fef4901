// CONTEXT and -f: a directory, a tar, a git repository, a file over HTTP or standard input become a directory to read
// from and the text of a Dockerfile. What came from elsewhere lies in a scratch directory until the build has ended.

import { statSync } from 'node:fs'
import path from 'node:path'
import type { RemoteSources } from '../build/remote-source.ts'
import { openScratchDirectory } from '../build/scratch-directory.ts'
import { KauriError } from '../core/errors.ts'
import { findContextAddress } from '../dockerfile/source-address.ts'
import type { PlanContext } from '../plan/plan.ts'
import type { ReadInput } from './build-standard-input.ts'
import type { CommandContext } from './command.ts'
import { type FoundDockerfile, findDockerfile, findIgnoreFile } from './dockerfile-file.ts'
import {
  type FetchedContext,
  fetchContext,
  type MadeSeconds,
  unpackedContext,
} from './remote-context.ts'

/** What is built, and what with. */
export interface BuildInput extends AsyncDisposable {
  readonly dockerfile: FoundDockerfile
  readonly context: PlanContext
  /** When the context was made, where that is known. */
  readonly madeSeconds?: MadeSeconds | undefined
}

export interface InputRequest {
  /** As typed. */
  readonly context: string
  /** Value of -f. */
  readonly file: string | undefined
  readonly keepGitDirectory: boolean
  readonly hasEpoch: boolean
  readonly remoteSources: RemoteSources
  readonly standardInput: ReadInput
  readonly command: Pick<CommandContext, 'dataRoot' | 'signal' | 'emit'>
}

/** @throws USAGE, FILE_NOT_FOUND in docker's words, DOWNLOAD_FAILED, ARCHIVE_INVALID */
export async function openBuildInput(request: InputRequest): Promise<BuildInput> {
  const { context, file } = request
  if (context === '-' && file === '-')
    throw new KauriError(
      'USAGE',
      "invalid argument: can't use stdin for both build context and dockerfile",
    )
  await using scratch = new AsyncDisposableStack()
  const opened = await openContext(request, scratch)
  const dockerfile = await dockerfileOf(request, opened)
  const ignore = opened.isLocal ? await findIgnoreFile(opened.directory, dockerfile) : undefined
  const kept = scratch.move()
  return {
    dockerfile,
    context: { directory: opened.directory, ...(ignore === undefined ? {} : { ignore }) },
    madeSeconds: opened.madeSeconds,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

async function openContext(
  request: InputRequest,
  stack: AsyncDisposableStack,
): Promise<FetchedContext> {
  const { context, command } = request
  const scratchPath = async (): Promise<string> =>
    stack.use(await openScratchDirectory(command.dataRoot)).path
  if (context === '-') return await contextOfStandardInput(request, scratchPath)
  const found = statSync(context, { throwIfNoEntry: false })
  if (found?.isDirectory()) return { directory: path.resolve(context), isLocal: true }
  const address = findContextAddress(context)
  if (address !== undefined) return await fetchContext(address, request, scratchPath)
  if (found?.isFile()) {
    const { fileSource } = await import('../image/file-source.ts')
    const { bytes } = fileSource(context)
    return await unpackedContext(bytes, context, { scratchPath, signal: command.signal })
  }
  throw new KauriError('FILE_NOT_FOUND', `unable to prepare context: path "${context}" not found`)
}

/** A tar is the context; anything else is a Dockerfile, whose context is empty. */
async function contextOfStandardInput(
  { file, standardInput, command }: InputRequest,
  scratchPath: () => Promise<string>,
): Promise<FetchedContext> {
  const input = await standardInput()
  if (input.isArchive) {
    const { signal } = command
    return await unpackedContext(input.bytes, 'standard input', { scratchPath, signal })
  }
  if (file !== undefined)
    throw new KauriError(
      'USAGE',
      'ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles',
    )
  return { directory: await scratchPath(), isLocal: true, dockerfile: await input.text() }
}

async function dockerfileOf(
  { file, context, standardInput, remoteSources, command }: InputRequest,
  opened: FetchedContext,
): Promise<FoundDockerfile> {
  if (file === '-') return { text: await (await standardInput()).text(), name: 'Dockerfile' }
  if (opened.dockerfile !== undefined) return { text: opened.dockerfile, name: 'Dockerfile' }
  if (file !== undefined && /^https?:\/\//.test(file)) {
    const { fetchText } = await import('./remote-context.ts')
    const { signal, emit } = command
    return { text: await fetchText(file, remoteSources, { signal, emit }), name: 'Dockerfile' }
  }
  return await findDockerfile({ ...opened, shownDirectory: context, file })
}

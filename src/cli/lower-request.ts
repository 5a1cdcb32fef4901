// What a Dockerfile is lowered from: a context, the file, what names stand for, and images. `build` and `plan` share it.

import process from 'node:process'
import type { RemoteSources } from '../build/remote-source.ts'
import { type BuildInput, openBuildInput } from './build-input.ts'
import { type BuildSettings, readSettings } from './build-settings.ts'
import { openStandardInput } from './build-standard-input.ts'
import { isTrue } from './build-values.ts'
import type { CommandContext, ParsedOptions } from './command.ts'
import { makeStateDirectories, openBuildSources, withOwnAgent } from './dockerfile-parts.ts'
import { imageResolver } from './image-resolver.ts'
import { type LowerRequest, mainContext } from './lower-platforms.ts'
import { type NamedContexts, openNamedContexts } from './named-contexts.ts'
import { openStore } from './open-store.ts'
import { openImageSource } from './registry-access.ts'
import type { MadeSeconds } from './remote-context.ts'

/** A context and a Dockerfile, and what is needed to lower it. */
export interface OpenedInput extends BuildInput {
  readonly settings: BuildSettings
  /** Opens named contexts and images; to be disposed before this. @throws USAGE, FILE_NOT_FOUND, DOWNLOAD_FAILED */
  openRequest(): Promise<OpenedRequest>
}

export interface OpenedRequest extends LowerRequest, AsyncDisposable {
  /** For what the Dockerfile itself names. */
  readonly remoteSources: RemoteSources
}

/** @throws USAGE, REFERENCE_INVALID, UNSUPPORTED, FILE_NOT_FOUND, DOWNLOAD_FAILED, ARCHIVE_INVALID */
export async function openInput(
  contextWord: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<OpenedInput> {
  const settings = readSettings(options, {
    environment: process.env,
    isTerminal: () => process.stdout.isTTY,
  })
  makeStateDirectories(context)
  await using stack = new AsyncDisposableStack()
  const { secrets, ssh } = settings.caller
  // The caller's own agent serves what the caller named; the Dockerfile's addresses get what --ssh hands over.
  const own = { secrets, ssh: withOwnAgent(ssh) }
  const remoteSources = stack.use(openBuildSources(context, own, options.flag('offline')))
  const input = stack.use(
    await openBuildInput({
      context: contextWord,
      file: options.text('file'),
      keepGitDirectory: isTrue(settings.buildArgs.get('BUILDKIT_CONTEXT_KEEP_GIT_DIR')),
      hasEpoch: settings.buildArgs.has('SOURCE_DATE_EPOCH'),
      remoteSources,
      standardInput: () => openStandardInput(context.signal),
      command: context,
    }),
  )
  const kept = stack.move()
  return {
    ...input,
    settings,
    openRequest: () => openRequest({ input, settings, remoteSources }, options, context),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

interface RequestParts {
  readonly input: BuildInput
  readonly settings: BuildSettings
  readonly remoteSources: RemoteSources
}

async function openRequest(
  { input, settings, remoteSources }: RequestParts,
  options: ParsedOptions,
  context: CommandContext,
): Promise<OpenedRequest> {
  await using stack = new AsyncDisposableStack()
  const store = openStore(context)
  const parts = { remoteSources, store, command: context }
  const named = stack.use(await openNamedContexts(options.texts('build-context'), parts))
  const images = stack.use(openImageSource(context, { store, pull: pullPolicy(options), options }))
  const addSources = stack.use(openBuildSources(context, settings.caller, options.flag('offline')))
  const resolver = imageResolver({
    store,
    layouts: named.layouts,
    images,
    pull: options.flag('pull'),
    times: timesOf(input, named),
    remoteSources: addSources,
    signal: context.signal,
    emit: context.emit,
  })
  const kept = stack.move()
  const { dockerfile, context: main } = input
  return {
    dockerfile,
    context: main,
    named,
    settings,
    resolver,
    remoteSources: addSources,
    target: options.text('target'),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function timesOf(
  { madeSeconds }: BuildInput,
  { times }: NamedContexts,
): ReadonlyMap<string, MadeSeconds> {
  return madeSeconds === undefined ? times : new Map([...times, [mainContext, madeSeconds]])
}

function pullPolicy(options: ParsedOptions): 'always' | 'missing' | 'never' {
  if (options.flag('offline')) return 'never'
  return options.flag('pull') ? 'always' : 'missing'
}

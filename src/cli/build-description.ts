// From a description to an image in the store and the result files: `system build`, and `build` where a directory holds a
// description and no Dockerfile.

import path from 'node:path'
import type { CommitOptions } from '../build/build.ts'
import type { BuiltImage, ImageParts, ImageRequest } from '../build/build-image.ts'
import type { OuterCompression } from '../build/outer-compression.ts'
import type { ResultTarget } from '../build/result-output.ts'
import { inStep } from '../core/events.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import type { CommandContext, ParsedOptions } from './command.ts'
import { parseCompression } from './compression-option.ts'
import { type DescribedPlan, readDescribedPlan } from './described-plan.ts'
import { requireProgram } from './host-needs.ts'
import { readSourceDateEpoch } from './source-date-epoch.ts'

/** `options` are those of `system build`; `names` are given to the image beside its own. Returns the exit status. */
export async function buildDescription(
  options: ParsedOptions,
  context: CommandContext,
  names: readonly Reference[] = [],
): Promise<number> {
  const compression = parseCompression(options.text('compression') ?? 'zstd')
  const epoch = readSourceDateEpoch(options)
  const described = await readDescribedPlan(options.requiredText('description'), options, context)
  const commit: CommitOptions = {
    layers: options.text('layers') === 'phases' ? 'phases' : 'single',
    compression,
    ...(epoch === undefined ? {} : { sourceDateEpoch: epoch }),
  }
  const named = { ...described, references: [...described.references, ...names] }
  return await build(
    { described: named, commit, target: targetOf(options, described) },
    options,
    context,
  )
}

interface Wanted {
  readonly described: DescribedPlan
  readonly commit: CommitOptions
  readonly target: ResultTarget
}

async function build(
  { described, commit, target }: Wanted,
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  if (target.compression === 'xz') requireProgram('xz', 'xz-utils')
  const { openBuildParts } = await import('./build-parts.ts')
  const parts = await openBuildParts(context)
  const { buildImage } = await import('../build/build-image.ts')
  const request: ImageRequest = {
    plan: described.plan,
    options: {
      useCache: !options.flag('no-cache'),
      offline: options.flag('offline'),
      sourceDateEpoch: commit.sourceDateEpoch,
      signal: context.signal,
      emit: context.emit,
    },
    commit,
    references: described.references,
    results: target,
  }
  const result = await buildImage(request, parts)
  if (options.flag('keep-root')) await keepRoot(result, request, parts)
  report(result, request, context)
  return 0
}

function targetOf(options: ParsedOptions, { baseName, typeName }: DescribedPlan): ResultTarget {
  const compression = options.text('outer-compression') as OuterCompression | undefined
  return {
    directory: path.resolve(options.requiredText('target-dir')),
    baseName,
    form: typeName,
    compression: compression ?? (typeName === 'tbz' ? 'xz' : 'none'),
  }
}

async function keepRoot(
  { built }: BuiltImage,
  { options, results }: ImageRequest,
  { snapshotter }: ImageParts,
): Promise<void> {
  const { writeRoot } = await import('../build/write-root.ts')
  const directory = path.join(results.directory, 'build', 'image-root')
  await inStep(options.emit, { id: 'keep-root', title: `write ${directory}` }, () =>
    writeRoot(snapshotter, built.snapshot, { directory, signal: options.signal }),
  )
}

function report(
  { image, built, files }: BuiltImage,
  { references }: ImageRequest,
  { print, printJson }: CommandContext,
): void {
  const digest = image?.descriptor.digest
  const main = files.find(({ key }) => key === 'container' || key === 'root_archive')
  print(digest ?? main?.path ?? '')
  printJson({
    image: references[0] === undefined ? null : formatFamiliar(references[0]),
    digest: digest ?? null,
    names: references.map(reference => formatFamiliar(reference)),
    files: files.map(({ key, path: file, sizeBytes }) => ({ kind: key, path: file, sizeBytes })),
    steps: built.steps.map(({ title, key, cached, seconds }) => ({ title, key, cached, seconds })),
  })
}

// `kauri system build`: from a description to an image in the store and the result files in a directory.

import path from 'node:path'
import type { CommitOptions } from '../../build/build.ts'
import type { BuiltImage, ImageParts, ImageRequest } from '../../build/build-image.ts'
import type { OuterCompression } from '../../build/outer-compression.ts'
import type { ResultTarget } from '../../build/result-output.ts'
import { KauriError } from '../../core/errors.ts'
import { inStep } from '../../core/events.ts'
import type { LayerCompression } from '../../layer/layer.ts'
import { formatFamiliar } from '../../oci/reference.ts'
import type { CommandContext, CommandSpec, ParsedOptions } from '../command.ts'
import type { DescribedPlan } from '../described-plan.ts'
import { buildOptions, descriptionOptions, repositoryTuple } from '../description-options.ts'
import { requireProgram, requireRoot } from '../host-needs.ts'

export const command: CommandSpec = {
  name: 'system build',
  summary: 'Build an image from a description',
  details: [
    'Installs the packages, runs the scripts and packs the result. The image goes into the store under the names of its <containerconfig>, the result files into the target directory. What an earlier build made of the same inputs is used again.',
    `--set-repo and --add-repo take ${repositoryTuple}; fields at the end may be left out.`,
    'Prints the digest of the image; for the type tbz, which is no image, the path of the archive.',
  ],
  options: [
    { long: 'description', value: 'DIR', required: true, summary: 'Directory of the description' },
    { long: 'target-dir', value: 'DIR', required: true, summary: 'Where the result files go' },
    ...descriptionOptions,
    ...buildOptions,
    { long: 'no-cache', summary: 'Carry out every step again' },
    {
      long: 'layers',
      value: 'HOW',
      choices: ['single', 'phases'],
      summary: 'One layer, or one for each phase of the build (default: single)',
    },
    {
      long: 'compression',
      value: 'CODEC[:LEVEL]',
      summary:
        'Of layers in the store: zstd (default), gzip, none, or zstd-codec, whose bytes never change',
    },
    {
      long: 'outer-compression',
      value: 'CODEC',
      choices: ['none', 'gzip', 'xz', 'zstd'],
      summary: 'Of the result file (default: none; for tbz: xz)',
    },
    {
      long: 'keep-root',
      summary: 'Leave the root file system in build/image-root below the target directory',
    },
  ],
  run: async ({ options, context }) => {
    requireRoot('building an image')
    const { readDescribedPlan, readSourceDateEpoch } = await import('../described-plan.ts')
    const compression = readCompression(options.text('compression') ?? 'zstd')
    const epoch = readSourceDateEpoch(options)
    const described = await readDescribedPlan(options.requiredText('description'), options, context)
    const commit: CommitOptions = {
      layers: options.text('layers') === 'phases' ? 'phases' : 'single',
      compression,
      ...(epoch === undefined ? {} : { sourceDateEpoch: epoch }),
    }
    return await build(
      { described, commit, target: targetOf(options, described) },
      options,
      context,
    )
  },
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
  const { openBuildParts } = await import('../build-parts.ts')
  const parts = await openBuildParts(context)
  const { buildImage } = await import('../../build/build-image.ts')
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

const codecs = ['zstd', 'gzip', 'none', 'zstd-codec'] as const
const highestLevel = { zstd: 19, gzip: 9, none: 0, 'zstd-codec': 19 } as const

/** @throws USAGE */
function readCompression(text: string): LayerCompression {
  const [name, levelText, ...rest] = text.split(':')
  const codec = codecs.find(one => one === name)
  const level = levelText === undefined ? undefined : Number(levelText)
  const isLevel = level === undefined || (Number.isInteger(level) && level >= 1)
  if (codec === undefined || rest.length > 0 || !isLevel || (level ?? 0) > highestLevel[codec])
    throw new KauriError('USAGE', `--compression does not take "${text}"`, {
      hint: 'write zstd, gzip, none or zstd-codec; zstd:1 to zstd:19 and gzip:1 to gzip:9 choose a level',
    })
  return level === undefined ? { codec } : { codec, level }
}

async function keepRoot(
  { built }: BuiltImage,
  { options, results }: ImageRequest,
  { snapshotter }: ImageParts,
): Promise<void> {
  const { writeRoot } = await import('../../build/write-root.ts')
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

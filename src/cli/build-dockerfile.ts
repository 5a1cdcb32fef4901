// `kauri build` of a Dockerfile: reads what the options say, lowers the file once for each platform, builds, and tells
// what came of it.

import { type BuildOutcome, buildPlans } from '../build/build-plans.ts'
import { writeFileAtomic } from '../core/atomic-file.ts'
import { formatPlatform } from '../oci/platform.ts'
import { formatFamiliar, type Reference } from '../oci/reference.ts'
import type { Registries } from '../registry/registry.ts'
import type { BuildSettings } from './build-settings.ts'
import { isTrue, readTimes } from './build-values.ts'
import { checkEmulation } from './check-emulation.ts'
import type { CommandContext, ParsedOptions } from './command.ts'
import { withExcerpt } from './dockerfile-excerpt.ts'
import { openDockerfileParts } from './dockerfile-parts.ts'
import { foreignFrontend } from './foreign-frontend.ts'
import { requireRoot } from './host-needs.ts'
import { type LoweredBuild, lowerForPlatforms } from './lower-platforms.ts'
import { type OpenedRequest, openInput } from './lower-request.ts'
import { openRegistries } from './registry-access.ts'

/** Builds; the result is the exit status. @throws whatever stands in the way, with the place in the Dockerfile */
export async function buildDockerfile(
  contextWord: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<number> {
  const call = options.flag('check') ? 'check' : options.text('call')
  if (call !== 'check' && call !== 'targets') requireRoot('building an image')
  await using input = await openInput(contextWord, options, context)
  if (call === 'check') {
    const { reportChecks } = await import('./build-checks.ts')
    return await reportChecks({ ...input, target: options.text('target') }, context)
  }
  if (call === 'targets')
    return (await import('./build-outline.ts')).reportTargets(input.dockerfile, context)
  const frontend = foreignFrontend(input.dockerfile.text, input.settings.buildArgs)
  if (frontend !== undefined)
    context.emit({
      kind: 'warning',
      message: `the file is read as a Dockerfile; the frontend ${frontend} is not run`,
    })
  await using request = await input.openRequest()
  try {
    if (call === 'outline')
      return await (await import('./build-outline.ts')).reportOutline(request, context)
    return await carryOut(request, { options, context })
  } catch (error) {
    throw withExcerpt(error, input.dockerfile)
  }
}

interface BuildWork {
  readonly options: ParsedOptions
  readonly context: CommandContext
}

async function carryOut(request: OpenedRequest, work: BuildWork): Promise<number> {
  const { options, context } = work
  const lowered = await lowerForPlatforms(request)
  try {
    checkEmulation(lowered.plans)
    const outcome = await build(lowered, request, work)
    await report(outcome, { settings: request.settings, options, context })
    return 0
  } finally {
    tellWarnings(lowered, context)
  }
}

async function build(
  { plans, sourceDateEpoch }: LoweredBuild,
  { settings, remoteSources }: OpenedRequest,
  { options, context }: BuildWork,
): Promise<BuildOutcome> {
  const { results, caller, annotations, cacheFrom, cacheTo } = settings
  const isOffline = options.flag('offline')
  const registries = (): Promise<Registries> => openRegistries(context, options)
  const parts = await openDockerfileParts(context, { remoteSources, registries })
  const { signal, emit } = context
  return await buildPlans(
    {
      plans,
      alwaysIndex: isTrue(settings.buildArgs.get('BUILDKIT_MULTI_PLATFORM')),
      options: {
        useCache: !options.flag('no-cache'),
        noCacheStages: stagesNamed(settings.noCacheStages, plans),
        offline: isOffline,
        caller,
        signal,
        emit,
      },
      times: readTimes({
        options,
        argumentSeconds: sourceDateEpoch,
        rewrites: results.rewritesTimestamps,
      }),
      compression: results.compression,
      outputs: results.outputs,
      cacheFrom,
      cacheTo,
      annotations,
    },
    parts,
  )
}

/** Ids of the stages with those names; several of one name are told apart by what follows a `#`. */
function stagesNamed(names: ReadonlySet<string>, plans: LoweredBuild['plans']): Set<string> {
  const ids = plans.flatMap(({ stages }) => stages.map(({ id }) => id))
  return new Set(ids.filter(id => names.has(id.replace(/#\d+$/, '').toLowerCase())))
}

function tellWarnings({ warnings, unusedBuildArgs }: LoweredBuild, { emit }: CommandContext): void {
  for (const name of unusedBuildArgs)
    emit({ kind: 'warning', message: `no ARG instruction takes the build argument ${name}` })
  for (const { rule, message, hint, where } of warnings)
    emit({ kind: 'warning', message: `${message} [${rule}]`, hint, where })
}

interface ReportInput {
  readonly settings: BuildSettings
  readonly options: ParsedOptions
  readonly context: CommandContext
}

async function report(
  outcome: BuildOutcome,
  { settings, options, context }: ReportInput,
): Promise<void> {
  const digest = outcome.descriptor?.digest
  const names = namesOf(settings)
  const idFile = options.text('iidfile')
  // The digest that every command of kauri finds the image by.
  if (idFile !== undefined && digest !== undefined) await writeFileAtomic(idFile, digest)
  const metadataFile = options.text('metadata-file')
  if (metadataFile !== undefined) {
    const { buildMetadata } = await import('../build/build-metadata.ts')
    const metadata = JSON.stringify(buildMetadata(outcome, names), undefined, 2)
    await writeFileAtomic(metadataFile, `${metadata}\n`)
  }
  if (settings.results.usesStandardOutput) return
  if (digest !== undefined) context.print(digest)
  context.printJson({
    digest: digest ?? null,
    names: names.map(formatFamiliar),
    platforms: outcome.images.map(({ platform, image }) => ({
      platform: formatPlatform(platform),
      digest: image?.descriptor.digest ?? null,
    })),
    steps: outcome.images.flatMap(({ stages }) =>
      stages.flatMap(({ steps }) =>
        steps.map(({ title, key, cached, seconds }) => ({ title, key, cached, seconds })),
      ),
    ),
  })
}

function namesOf({ results }: BuildSettings): readonly Reference[] {
  return results.outputs.flatMap(output => ('names' in output ? output.names : []))
}

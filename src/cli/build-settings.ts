// Everything that the options of one Dockerfile build say, read before anything is begun.

import type { CallerOptions } from '../build/build.ts'
import type { CacheSource, CacheTarget, ImageAnnotation } from '../build/build-plans.ts'
import type { Platform } from '../oci/platform.ts'
import { readAnnotations, readCacheSource, readCacheTarget } from './build-cache.ts'
import { readCaller } from './build-caller.ts'
import { commaList } from './build-fields.ts'
import { type ChosenOutputs, readOutputs } from './build-outputs.ts'
import { isTrue, readBuildArguments, readLabels, readPlatforms } from './build-values.ts'
import type { ParsedOptions } from './command.ts'
import type { Environment } from './global-options.ts'

export interface BuildSettings {
  readonly buildArgs: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
  readonly platforms: readonly Platform[]
  readonly platformIsExplicit: boolean
  readonly network: 'none' | 'host' | 'bridge'
  readonly caller: CallerOptions
  readonly results: ChosenOutputs
  readonly annotations: readonly ImageAnnotation[]
  readonly cacheFrom: readonly CacheSource[]
  readonly cacheTo: readonly CacheTarget[]
  /** Names of stages, in lower case. */
  readonly noCacheStages: ReadonlySet<string>
}

export interface SettingsHost {
  readonly environment: Environment
  /** True where standard output is a terminal. */
  readonly isTerminal: () => boolean
}

/** @throws USAGE, REFERENCE_INVALID, UNSUPPORTED, FILE_NOT_FOUND */
export function readSettings(
  options: ParsedOptions,
  { environment, isTerminal }: SettingsHost,
): BuildSettings {
  const buildArgs = readBuildArguments(options, environment)
  const results = readOutputs(options, isTerminal)
  return {
    buildArgs,
    labels: readLabels(options),
    platforms: readPlatforms(options),
    platformIsExplicit: options.texts('platform').length > 0,
    network: networkOf(options.text('network')),
    caller: readCaller({ options, environment, buildArgs }),
    results,
    annotations: readAnnotations([...results.annotations, ...options.texts('annotation')]),
    cacheFrom: options.texts('cache-from').filter(Boolean).map(readCacheSource),
    cacheTo: cacheTargets(options, buildArgs),
    noCacheStages: new Set(
      commaList(options.texts('no-cache-filter')).map(name => name.toLowerCase()),
    ),
  }
}

function networkOf(text: string | undefined): BuildSettings['network'] {
  return text === 'none' || text === 'host' ? text : 'bridge'
}

/** The build argument is BuildKit's older way to ask for a cache in the image. */
function cacheTargets(
  options: ParsedOptions,
  buildArgs: ReadonlyMap<string, string>,
): readonly CacheTarget[] {
  const targets = options.texts('cache-to').filter(Boolean).map(readCacheTarget)
  const wantsInline = isTrue(buildArgs.get('BUILDKIT_INLINE_CACHE'))
  if (!wantsInline || targets.some(({ kind }) => kind === 'inline')) return targets
  return [...targets, readCacheTarget('type=inline')]
}

// A Dockerfile as plans, one for each platform of the build.

import type { Diagnostic } from '../core/errors.ts'
import { createLinter, type Linter } from '../dockerfile/linter.ts'
import { lowerDockerfile } from '../dockerfile/lower-dockerfile.ts'
import type { ImageResolver, LowerOptions } from '../dockerfile/lower-options.ts'
import { readDockerfile } from '../dockerfile/read-dockerfile.ts'
import { hostPlatform, type Platform } from '../oci/platform.ts'
import type { BuildPlan, PlanContext } from '../plan/plan.ts'
import type { BuildSettings } from './build-settings.ts'
import type { FoundDockerfile } from './dockerfile-file.ts'
import type { NamedContexts } from './named-contexts.ts'

/** What there is to lower, and with what. */
export interface LowerRequest {
  readonly dockerfile: FoundDockerfile
  readonly context: PlanContext
  readonly named: NamedContexts
  readonly settings: BuildSettings
  readonly target: string | undefined
  readonly resolver: ImageResolver
}

export interface LoweredBuild {
  readonly plans: readonly BuildPlan[]
  /** What the build checks found; what several platforms have in common once. */
  readonly warnings: readonly Diagnostic[]
  /** Names of --build-arg that the Dockerfile has no ARG for. */
  readonly unusedBuildArgs: readonly string[]
  /** Seconds since 1970 that the build argument asks for. */
  readonly sourceDateEpoch: number | undefined
}

/** Every context that a Dockerfile does not name is the build's own. */
export const mainContext = 'context'

/** @throws DESCRIPTION_INVALID and whatever lowering and its resolver throw */
export async function lowerForPlatforms(request: LowerRequest): Promise<LoweredBuild> {
  const { platforms } = request.settings
  const plans: BuildPlan[] = []
  const warnings = new Map<string, Diagnostic>()
  let unusedBuildArgs: readonly string[] = []
  let sourceDateEpoch: number | undefined
  for (const platform of platforms) {
    const linter = linterFor(request)
    const dockerfile = readDockerfile(request.dockerfile.text, request.dockerfile.name, linter)
    const options = lowerOptions(request, platform, linter)
    const lowered = await lowerDockerfile(dockerfile, options, request.resolver)
    plans.push(lowered.plan)
    unusedBuildArgs = lowered.unusedBuildArgs
    sourceDateEpoch ??= lowered.sourceDateEpoch
    for (const warning of lowered.warnings) warnings.set(JSON.stringify(warning), warning)
  }
  return { plans, warnings: [...warnings.values()], unusedBuildArgs, sourceDateEpoch }
}

function linterFor({ dockerfile, settings }: LowerRequest): Linter {
  const checks = settings.buildArgs.get('BUILDKIT_DOCKERFILE_CHECK')
  return createLinter({ text: dockerfile.text, checks })
}

function lowerOptions(request: LowerRequest, platform: Platform, linter: Linter): LowerOptions {
  const { settings, named, context, target } = request
  const { buildArgs, labels, platforms, platformIsExplicit, network, caller } = settings
  return {
    target,
    buildArgs,
    platform,
    buildPlatform: hostPlatform(),
    mainContext,
    contexts: { ...named.contexts, [mainContext]: context },
    namedContexts: named.named,
    labels,
    network,
    allow: caller.allow,
    showsPlatform: platforms.length > 1,
    platformIsExplicit,
    linter,
  }
}

// What `kauri build` would do with a Dockerfile now, and what of it is there already.

import type { CallerOptions } from '../build/build.ts'
import { inspectPlan, type StepForecast } from '../build/inspect-plan.ts'
import type { BuildPlan } from '../plan/plan.ts'
import { stepOptions } from './build-options.ts'
import type { CommandContext, ParsedOptions } from './command.ts'
import { withExcerpt } from './dockerfile-excerpt.ts'
import { openBuildSources, openDockerfileParts } from './dockerfile-parts.ts'
import { lowerForPlatforms } from './lower-platforms.ts'
import { openInput } from './lower-request.ts'
import { openRegistries } from './registry-access.ts'

/** Steps of all stages, one platform after the other. @throws what a build throws before its first step */
export async function forecastDockerfile(
  contextWord: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<readonly StepForecast[]> {
  await using input = await openInput(contextWord, asBuildOptions(options), context)
  await using request = await input.openRequest()
  try {
    const { plans } = await lowerForPlatforms(request)
    return await forecastPlans(plans, { caller: input.settings.caller, options, context })
  } catch (error) {
    throw withExcerpt(error, input.dockerfile)
  }
}

/** The options as a build reads them: what becomes of a result is not among those of a plan, and so not given. */
function asBuildOptions(options: ParsedOptions): ParsedOptions {
  const known = new Set([...stepOptions.map(({ long }) => long), 'offline'])
  return {
    flag: long => known.has(long) && options.flag(long),
    text: long => (known.has(long) ? options.text(long) : undefined),
    texts: long => (known.has(long) ? options.texts(long) : []),
    requiredText: long => options.requiredText(long),
  }
}

interface Forecasting {
  readonly caller: CallerOptions
  readonly options: ParsedOptions
  readonly context: CommandContext
}

async function forecastPlans(
  plans: readonly BuildPlan[],
  { caller, options, context }: Forecasting,
): Promise<readonly StepForecast[]> {
  const offline = options.flag('offline')
  await using remoteSources = openBuildSources(context, caller, offline)
  await using stack = new AsyncDisposableStack()
  const parts = await openDockerfileParts(context, {
    remoteSources,
    registries: async () => stack.use(await openRegistries(context, options)),
  })
  const { signal, emit } = context
  const forecasts: StepForecast[] = []
  for (const plan of plans)
    forecasts.push(
      ...(await inspectPlan(plan, { useCache: true, offline, caller, signal, emit }, parts)),
    )
  return forecasts
}

// `kauri plan`: what a build would do now, and what of it is there already.

import type { StepForecast } from '../../build/inspect-plan.ts'
import { hexOf } from '../../oci/digest.ts'
import { stepOptions } from '../build-options.ts'
import type { CommandContext, CommandSpec, OptionSpec, ParsedOptions } from '../command.ts'
import { buildOptions, descriptionOptions, repositoryTuple } from '../description-options.ts'
import { requireRoot } from '../host-needs.ts'
import { printable } from '../printable.ts'
import { readSourceDateEpoch } from '../source-date-epoch.ts'

/** Both front ends' options; what both have means the same to both. */
const planOptions: readonly OptionSpec[] = [
  ...new Map(
    [...descriptionOptions, ...buildOptions, ...stepOptions].map(option => [option.long, option]),
  ).values(),
]

export const command: CommandSpec = {
  name: 'plan',
  summary: 'Show the steps of a build, their digests, and which of them are cached',
  details: [
    'PATH is the directory of a description, or what kauri build takes for a context. Takes the options that change the steps of `system build` and of `build`. Servers are asked as a build asks them; nothing is built.',
    `--set-repo and --add-repo take ${repositoryTuple}; fields at the end may be left out.`,
  ],
  operands: 'PATH',
  minOperands: 1,
  maxOperands: 1,
  options: planOptions,
  run: async ({ options, positionals, context }) => {
    requireRoot('looking at what builds left')
    const [word = ''] = positionals
    const { isDescribed } = await import('../is-described.ts')
    const forecasts = isDescribed(word, options)
      ? await forecastDescription(word, options, context)
      : await (await import('../dockerfile-forecast.ts')).forecastDockerfile(word, options, context)
    for (const line of table(forecasts)) context.print(line)
    context.printJson({
      steps: forecasts.map(({ title, kind, phase, key, miss }) => ({
        title,
        kind,
        phase,
        key: key ?? null,
        cached: key !== undefined && miss === undefined,
        why: miss ?? null,
      })),
    })
    return 0
  },
}

async function forecastDescription(
  directory: string,
  options: ParsedOptions,
  context: CommandContext,
): Promise<readonly StepForecast[]> {
  const { readDescribedPlan } = await import('../described-plan.ts')
  const { plan } = await readDescribedPlan(directory, options, context)
  const { openBuildParts } = await import('../build-parts.ts')
  const { inspectPlan } = await import('../../build/inspect-plan.ts')
  return await inspectPlan(
    plan,
    {
      useCache: true,
      offline: options.flag('offline'),
      sourceDateEpoch: readSourceDateEpoch(options),
      signal: context.signal,
      emit: context.emit,
    },
    await openBuildParts(context),
  )
}

const reasons = {
  'never-run': 'never run',
  'step-changed': 'the step changed',
  'inputs-changed': 'what it reads changed',
  'step-before-changed': 'a step before it changed',
  'unknown-until-built': 'known when the steps before it are built',
} as const

function table(forecasts: readonly StepForecast[]): string[] {
  const rows = forecasts.map(({ title, kind, key, miss }) => [
    printable(title),
    kind,
    key === undefined ? '-' : hexOf(key).slice(0, 12),
    miss === undefined ? 'cached' : reasons[miss],
  ])
  const header = ['STEP', 'KIND', 'DIGEST', 'STATE']
  const widths = header.map((_, column) =>
    Math.max(...[header, ...rows].map(row => row[column]?.length ?? 0)),
  )
  return [header, ...rows].map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

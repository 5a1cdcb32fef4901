// `kauri plan`: what a build would do now, and what of it is there already.

import type { StepForecast } from '../../build/inspect-plan.ts'
import { hexOf } from '../../oci/digest.ts'
import type { CommandSpec } from '../command.ts'
import { buildOptions, descriptionOptions, repositoryTuple } from '../description-options.ts'
import { requireRoot } from '../host-needs.ts'
import { readSourceDateEpoch } from '../source-date-epoch.ts'

export const command: CommandSpec = {
  name: 'plan',
  summary: 'Show the steps of a build, their digests, and which of them are cached',
  details: [
    'Takes the options that change what `system build` does. Repositories are asked as a build asks them; nothing is built.',
    `--set-repo and --add-repo take ${repositoryTuple}; fields at the end may be left out.`,
  ],
  operands: 'DIR',
  minOperands: 1,
  maxOperands: 1,
  options: [...descriptionOptions, ...buildOptions],
  run: async ({ options, positionals, context }) => {
    requireRoot('asking the repositories')
    const [directory = ''] = positionals
    const { readDescribedPlan } = await import('../described-plan.ts')
    const { plan } = await readDescribedPlan(directory, options, context)
    const { openBuildParts } = await import('../build-parts.ts')
    const { inspectPlan } = await import('../../build/inspect-plan.ts')
    const forecasts = await inspectPlan(
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

const reasons = {
  'never-run': 'never run',
  'step-changed': 'the step changed',
  'inputs-changed': 'what it reads changed',
  'step-before-changed': 'a step before it changed',
  'unknown-until-built': 'known when the steps before it are built',
} as const

function table(forecasts: readonly StepForecast[]): string[] {
  const rows = forecasts.map(({ title, kind, key, miss }) => [
    title,
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

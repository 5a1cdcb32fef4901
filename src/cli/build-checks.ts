// `kauri build --check`: what the build checks find, in place of a build.

import { formatDiagnostic, sortDiagnostics } from '../core/diagnostics.ts'
import { checkDockerfile } from '../dockerfile/check-dockerfile.ts'
import { hostPlatform } from '../oci/platform.ts'
import type { PlanContext } from '../plan/plan.ts'
import type { BuildSettings } from './build-settings.ts'
import type { CommandContext } from './command.ts'
import type { FoundDockerfile } from './dockerfile-file.ts'
import { localImages } from './local-images.ts'

export interface CheckRequest {
  readonly dockerfile: FoundDockerfile
  readonly context: PlanContext
  readonly settings: BuildSettings
  readonly target: string | undefined
}

/** Prints the findings; 1 where there are some, as docker has it, 2 where no build would take the file. */
export async function reportChecks(
  { dockerfile, context: main, settings, target }: CheckRequest,
  context: CommandContext,
): Promise<number> {
  const [platform = hostPlatform()] = settings.platforms
  const checked = await checkDockerfile(
    { file: dockerfile.name, text: dockerfile.text },
    {
      platform,
      ignore: main.ignore,
      buildArgs: settings.buildArgs,
      target,
      findImage: localImages(context),
    },
  )
  const diagnostics = sortDiagnostics(checked.diagnostics)
  const count = checked.findings.length
  if (checked.error === undefined || count > 0) context.print(summary(count))
  for (const diagnostic of diagnostics) context.print(formatDiagnostic(diagnostic))
  context.printJson({ findings: checked.findings, error: checked.error?.message ?? null })
  if (diagnostics.some(({ severity }) => severity === 'error')) return 2
  return count > 0 ? 1 : 0
}

function summary(count: number): string {
  if (count === 0) return 'Check complete, no warnings found.'
  const words = count === 1 ? '1 warning has' : `${count} warnings have`
  return `Check complete, ${words} been found!`
}

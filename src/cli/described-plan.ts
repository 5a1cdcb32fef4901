// From a description's directory and the command line to a plan; `system build` and `plan` share it.

import { machine } from 'node:os'
import { imageReferences } from '../description/container-config.ts'
import type { ImageTypeName } from '../description/description.ts'
import { lowerDescription } from '../description/lower-description.ts'
import { readDescription } from '../description/read-description.ts'
import { resultBaseName, selectDescription } from '../description/select-description.ts'
import type { Reference } from '../oci/reference.ts'
import type { BuildPlan, BuildStep } from '../plan/plan.ts'
import type { CommandContext, ParsedOptions } from './command.ts'
import { kauriVersion } from './commands/version.ts'
import { applyDescriptionOptions } from './description-options.ts'

/** A description, ready to be built. */
export interface DescribedPlan {
  readonly plan: BuildPlan
  readonly references: readonly Reference[]
  /** `NAME.ARCH-VERSION`. */
  readonly baseName: string
  readonly typeName: ImageTypeName
}

/** Tells the description's warnings. @throws DESCRIPTION_NOT_FOUND, DESCRIPTION_INVALID, USAGE, UNSUPPORTED */
export async function readDescribedPlan(
  directory: string,
  options: ParsedOptions,
  { emit }: Pick<CommandContext, 'emit'>,
): Promise<DescribedPlan> {
  const description = await readDescription(directory, { kiwiFile: options.text('kiwi-file') })
  for (const { severity, message, hint, where } of description.findings)
    if (severity === 'warning') emit({ kind: 'warning', message, hint, where })
  const selected = applyDescriptionOptions(
    selectDescription(description, {
      profiles: options.texts('profile'),
      type: options.text('type'),
      machine: machine(),
    }),
    options,
  )
  const plan = lowerDescription(selected, {
    kauriVersion: await kauriVersion(),
    scriptNetwork: options.text('network') === 'host' ? 'host' : 'none',
  })
  return {
    plan: withRemovals(plan, options.texts('delete-package')),
    references: imageReferences(selected),
    baseName: resultBaseName(selected),
    typeName: selected.typeName,
  }
}

/** As KIWI does it: right after the last installation, before anything is configured. */
function withRemovals(plan: BuildPlan, names: readonly string[]): BuildPlan {
  if (names.length === 0) return plan
  const stages = plan.stages.map(stage => {
    const last = stage.steps.findLastIndex(step => step.kind === 'install')
    const install = stage.steps[last]
    if (install?.kind !== 'install') return stage
    const removal: BuildStep = {
      kind: 'remove',
      title: 'delete packages',
      phase: 'packages',
      manager: install.manager,
      mode: 'uninstall',
      packages: names.map(name => ({ name })),
    }
    return { ...stage, steps: stage.steps.toSpliced(last + 1, 0, removal) }
  })
  return { ...plan, stages }
}

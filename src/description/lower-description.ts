// From a selected description to a plan: one root, steps in KIWI's order. Pure but for the helper library's own text.

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { platformOfMachine } from '../oci/platform.ts'
import type { BuildPlan, BuildStep } from '../plan/plan.ts'
import { imageAuthor, imageHistory, runConfig } from './container-config.ts'
import type { HookName } from './description.ts'
import { accountSteps } from './lower-accounts.ts'
import { certificateSteps } from './lower-certificates.ts'
import { archiveSteps, fileSteps, overlaySteps } from './lower-files.ts'
import { installSteps, removeSteps } from './lower-packages.ts'
import { type ScriptContext, scriptStep } from './lower-scripts.ts'
import { imageIdSteps, settingSteps } from './lower-settings.ts'
import { profileText, profileVariables } from './profile-variables.ts'
import type { SelectedDescription } from './select-description.ts'

export interface LoweringOptions {
  /** For the history of the image. */
  readonly kauriVersion: string
  /** What scripts may reach; only the caller opens the network, never the description. */
  readonly scriptNetwork: 'none' | 'host'
}

/** Name of the plan's one context: the description's directory. */
export const descriptionContext = 'description'

/** The steps that make the root, and the configuration of the image. @throws DESCRIPTION_INVALID without a repository */
export function lowerDescription(
  selected: SelectedDescription,
  options: LoweringOptions,
): BuildPlan {
  const { description, packages } = selected
  const variables = profileVariables(selected)
  const scripts: ScriptContext = {
    selected,
    variables,
    profile: profileText(variables),
    library: readFileSync(path.join(import.meta.dirname, 'kconfig.sh'), 'utf8'),
    network: options.scriptNetwork,
  }
  const hook = (name: HookName): BuildStep[] => scriptStep(name, scripts)
  const { bootstrap, image } = packages
  const steps: BuildStep[] = [
    ...installSteps(selected, 'bootstrap'),
    ...archiveSteps(bootstrap.archives, 'bootstrap'),
    ...hook('post_bootstrap.sh'),
    ...certificateSteps(selected),
    ...installSteps(selected, 'image'),
    ...archiveSteps(image.archives, 'config'),
    ...overlaySteps(selected),
    ...imageIdSteps(description),
    ...accountSteps(selected),
    ...settingSteps(selected),
    ...fileSteps([...bootstrap.files, ...image.files]),
    ...hook('config.sh'),
    ...removeSteps(selected, 'uninstall'),
    ...removeSteps(selected, 'delete'),
    ...hook('images.sh'),
  ]
  return {
    contexts: { [descriptionContext]: { directory: description.directory } },
    stages: [
      {
        id: 'main',
        platform: platformOfMachine(selected.machine),
        base: { kind: 'scratch' },
        steps,
        config: runConfig(selected),
        author: imageAuthor(selected),
        history: { kind: 'phases', line: imageHistory(selected, options.kauriVersion) },
      },
    ],
  }
}
